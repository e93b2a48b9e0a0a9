// What the authors of a file in node_modules say of it: what it belongs to, whose it is and under which licence.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** The texts that authors name but do not put into their packages, by the package's name. */
const added = "packaging/licences";

/** What lies in a package, is another's, and has no manifest that says so. */
const vendored = {
  "node_modules/ffi-napi/deps/libffi": (directory) => ({
    name: "libffi",
    version: /^AC_INIT\(\[libffi\], \[(.+?)\]/m.exec(read(join(directory, "configure.ac")))?.[1],
    homepage: "https://sourceware.org/libffi/",
    license: "MIT",
  }),
};

/** The files by the directory of their package, or of what lies in one with a licence of its own; sorted. */
export function byOrigin(files) {
  const origins = new Map();
  for (const file of [...new Set(files)].sort()) {
    const directory = originOf(file);
    origins.set(directory, [...(origins.get(directory) ?? []), file]);
  }
  return [...origins].sort(([one], [other]) => (one < other ? -1 : 1));
}

function originOf(file) {
  const isPackage = (path) => /(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/.test(path);
  let directory = dirname(file);
  while (!isPackage(directory) && licenceFiles(directory).length === 0) directory = dirname(directory);
  return directory;
}

/** Throws where authors leave open what it is, or what their licence says. */
export function describe(directory, files) {
  const manifest = manifestOf(directory);
  const { name, version, license } = manifest;
  if (!name || !version || typeof license !== "string")
    throw new Error(`${directory} is in the package, but its name, version or licence is not known`);
  const text = licenceText(directory, name, version);
  const notices = [...new Set(files.flatMap((file) => comments(read(file))))];
  // Code that was taken over stands under terms that only its file tells.
  const terms = notices.filter((notice) => !words(text).includes(words(conditions(notice))));
  return {
    directory,
    name,
    version,
    license,
    homepage: manifest.homepage ?? `https://www.npmjs.com/package/${name}`,
    copyright: [...new Set([text, ...notices].flatMap(copyrightLines))],
    text: [text, ...terms].join("\n\n---\n\n"),
  };
}

function manifestOf(directory) {
  const path = join(directory, "package.json");
  if (existsSync(path)) return JSON.parse(read(path));
  return vendored[directory]?.(directory) ?? {};
}

function licenceFiles(directory) {
  return readdirSync(directory)
    .filter((name) => /^(licen[cs]e|copying|notice)(\.(md|txt))?$/i.test(name))
    .sort()
    .map((name) => join(directory, name));
}

function licenceText(directory, name, version) {
  const own = licenceFiles(directory);
  const ours = join(added, `${name}.txt`);
  if (own.length > 0 && existsSync(ours))
    throw new Error(`${ours} is not needed any more: ${name} brings ${own.map((file) => basename(file))}`);
  const text = (own.length > 0 ? own : [ours].filter(existsSync))
    .map((file) => read(file).trim())
    .join("\n\n");
  if (text === "")
    throw new Error(`${name} ${version} is in the package, but has no licence text; put it into ${ours}`);
  return text;
}

/** Without what makes them comments. */
function comments(source) {
  const found = source.match(/\/\*[\s\S]*?\*\/|(?:^[ \t]*\/\/.*\n?)+/gm) ?? [];
  return found.map((comment) =>
    comment
      .replace(/^\s*\/\*+!?|\*+\/\s*$/g, "")
      .replace(/^[ \t]*(\*|\/\/)?[ \t]?/gm, "")
      .trim(),
  );
}

/** From where a text begins to permit or to disclaim; none in most. */
function conditions(text) {
  const at = text.search(
    /permission (is hereby granted|to use, copy)|redistribution and use|this software is provided/i,
  );
  return at < 0 ? "" : text.slice(at);
}

/** Those that say whose and not merely that. */
function copyrightLines(text) {
  const claims = [/\bcopyright\b.*(\(c\)|©|\b(19|20)\d\d\b)/i, /\bCopyright [A-Z]/];
  return text
    .split("\n")
    .filter((line) => claims.some((claim) => claim.test(line)))
    .map((line) => line.slice(line.search(/copyright/i)).trim());
}

function words(text) {
  return text.replace(/\W+/g, " ").trim().toLowerCase();
}

function read(path) {
  return readFileSync(path, "utf8").replaceAll("\r", "");
}
