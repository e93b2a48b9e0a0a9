// The api-versions that both APIs take, previews included; they are treated alike except where a rule says since when.

const known = new Set([
  "2018-04-01",
  "2018-09-01-preview",
  "2018-11-01",
  "2019-03-31",
  "2021-06-01",
  "2021-10-01",
  "2021-11-01-preview",
  "2025-07-01-preview",
]);

export const isKnownApiVersion = (version: string | undefined): version is string =>
  version !== undefined && known.has(version.toLowerCase());
