// Reads a package's copyright file, and tells who is missing in it. Whose code a program has is found in its source
// maps, in which no list of ours has a part.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Paragraph {
  /** A field's lines as they were meant, without what marks them as going on. */
  readonly [field: string]: string;
}

/** Throws at the first line that Debian's form does not allow. */
export function paragraphsOf(copyright: string): Paragraph[] {
  return copyright.split(/\n\n+/).map((paragraph) => {
    const fields: Record<string, string> = {};
    let field = "";
    for (const line of paragraph.trimEnd().split("\n")) {
      const [, name, value = ""] = /^(?:([A-Z][A-Za-z-]+):)? (.*)$/.exec(`${line} `) ?? [];
      if (name === undefined && (field === "" || !line.startsWith(" ")))
        throw new Error(`misplaced: ${line}`);
      if (name !== undefined) field = name;
      const text = (name === undefined ? line : value).trim();
      fields[field] = fields[field] === undefined ? text : `${fields[field]}\n${text === "." ? "" : text}`;
    }
    return fields;
  });
}

/** Directories of the packages that source maps tell of. */
export function mappedPackages(directory: string): string[] {
  const maps = readdirSync(directory).filter((name) => name.endsWith(".map"));
  const sources = maps.flatMap(
    (name): string[] => JSON.parse(readFileSync(join(directory, name), "utf8")).sources,
  );
  const packages = sources.map((path) => /node_modules\/.*/.exec(path)?.[0] ?? "").map(packageOf);
  return [...new Set(packages)].filter((name) => name !== "").sort();
}

function packageOf(path: string): string {
  return /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? "";
}

/** Of the packages in these directories, those that it does not name or of which it lacks a line of the licence. */
export function unnamed(copyright: string, directories: readonly string[]): string[] {
  const paragraphs = paragraphsOf(copyright);
  return directories.filter((directory) => {
    const { name, version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
    const paragraph = paragraphs.find(({ Comment }) => Comment?.startsWith(`${name} ${version}, http`));
    const licence = paragraph?.["License"]?.split("\n") ?? [];
    return licence.length < 8 || licenceLines(directory).some((line) => !licence.includes(line));
  });
}

function licenceLines(directory: string): string[] {
  const file = readdirSync(directory).find((name) => /^(licen|copying)/i.test(name));
  const path = join(directory, file ?? "");
  if (file === undefined || !existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .map((line) => line.trim());
}
