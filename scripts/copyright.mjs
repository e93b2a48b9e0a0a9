// Whose code is in the bundles, and under which licence, in Debian's machine-readable form (DEP-5). What is in them the
// bundler says; a package without a licence of its own ends the build.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Directories of the packages that esbuild took something from, by its metafiles. */
export function packagesIn(metafiles) {
  const inputs = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap(({ inputs }) =>
      Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0),
    ),
  );
  const packages = inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []);
  return [...new Set(packages)].sort();
}

/** `others`: packages, and what is within one and has a licence of its own. */
export function copyright(others) {
  const own = readFileSync("LICENSE", "utf8");
  const head = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Mooring
Comment: What follows the first paragraph is in the bundles in /usr/lib/mooring. Node.js and what is in it
 have LICENSE.node.gz.
`;
  const paragraphs = others.map((directory) => {
    const { name, version, homepage, license, author } = about(directory);
    const text = licenceOf(directory, { license, author }, own);
    const comment = [`${name} ${version}`, ...(homepage ? [homepage] : [])].join(", ");
    return paragraph(`${name}/*`, holders(text), spdx(license), text, comment);
  });
  return [head, paragraph("*", holders(own), "MIT", own), ...paragraphs].join("\n");
}

/** libffi says so in its own place: it is no package. */
function about(directory) {
  const file = join(directory, "package.json");
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8"));
  const readme = readFileSync(join(directory, "README"), "utf8");
  const version = /libffi-(\d[\w.-]*)/.exec(readme)?.[1] ?? "";
  return { name: "libffi", version, homepage: "https://sourceware.org/libffi/", license: "MIT" };
}

function licenceOf(directory, { license, author }, mit) {
  const file = readdirSync(directory).find((name) => /^licen[cs]e(\.(md|txt))?$/i.test(name));
  // Of several to choose from, the first is chosen.
  if (file) return readFileSync(join(directory, file), "utf8").split(/^\s*GNU GENERAL PUBLIC LICENSE/m, 1)[0];
  const holder = typeof author === "string" ? author : author?.name;
  if (license !== "MIT" || !holder) throw new Error(`${directory} comes without the text of its licence`);
  return mit.replace(/^Copyright .*$/m, `Copyright (c) ${holder}`);
}

function holders(text) {
  const lines = text.split(/\r?\n/).map((line) => line.replace(/^[\s#*_-]+/, "").trim());
  const named = lines.filter((line) => /^(libffi - )?copyright (?!notice|holder|owner|and )/i.test(line));
  return named.length > 0
    ? named.map((line) => line.replace(/^(libffi - )?copyright\s*/i, ""))
    : ["see the text"];
}

const spdx = (license) => license.replace(/^\(/, "").split(" OR ", 1)[0];

function paragraph(files, holding, license, text, comment) {
  const folded = text
    .trim()
    .split(/\r?\n/)
    .map((line) => (line.trim() === "" ? " ." : ` ${line.trimEnd()}`));
  return [
    `Files: ${files}`,
    `Copyright: ${holding.join("\n ")}`,
    `License: ${license}`,
    ...folded,
    ...(comment ? [`Comment: ${comment}`] : []),
    "",
  ].join("\n");
}
