// The words of unit files and scripts, understood without Commander, which costs more to load than to keep an
// assignment. Whatever else is said, Commander understands or explains. Pure.

export interface PlainOptions {
  readonly config?: string;
  readonly json?: true;
  readonly verbose?: true;
}

/** `[--config FILE | -c FILE] [--json] [--verbose]`, in any order; undefined for every other word. */
export function plainOptions(words: readonly string[]): PlainOptions | undefined {
  const [word, ...rest] = words;
  switch (word) {
    case undefined:
      return {};
    case "-c":
    case "--config": {
      const [config, ...others] = rest;
      if (config === undefined || config.startsWith("-")) return undefined;
      const more = plainOptions(others);
      return more && { config, ...more };
    }
    case "--json":
    case "--verbose": {
      const more = plainOptions(rest);
      return more && { ...more, [word === "--json" ? "json" : "verbose"]: true };
    }
    default:
      return undefined;
  }
}
