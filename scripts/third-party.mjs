// Which files of others are in what was built, as the tools that built it say: esbuild and the compiler. Named as from
// this directory, node_modules/ first, wherever it was built.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const below = (path) => path.slice(path.indexOf("node_modules/"));

/** Of esbuild's metafile; what it read and left out is not ours to answer for. */
export function bundledFiles({ outputs }) {
  return Object.values(outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([path, { bytesInOutput }]) => path.includes("node_modules/") && bytesInOutput > 0)
    .map(([path]) => below(path));
}

/** What an addon was made of, headers included, save those of Node.js. */
export function compiledFiles(addon) {
  const build = join(addon, "build");
  const rules = readdirSync(join(build, "Release/.deps"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".o.d"))
    .map((name) => readFileSync(join(build, "Release/.deps", name), "utf8").replace(/^cmd_.*$/m, ""));
  const files = rules
    .flatMap((rule) => rule.split(/[\s\\]+/))
    .filter((path) => /\.(c|cc|h|S)$/.test(path))
    .map((path) => (path.startsWith("/") ? path : join(build, path)))
    .filter((path) => path.includes("node_modules/") && !path.includes("/node-linux-"))
    .map(below);
  if (files.length === 0) throw new Error(`${build} does not tell what it was made of`);
  return files;
}
