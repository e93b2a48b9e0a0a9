// The package's copyright file: whose code is in it and under which licence, ours first, in Debian's machine-readable
// form. Every text is as its authors wrote it, because no two of them are quite the same.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { byOrigin, describe } from "./licences.mjs";

const header = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Mooring
Comment:
 What is in node_modules where Mooring is built is in the files of
 /usr/lib/mooring where it is installed.
`;

/** Of the files of others that went into the package, and of Node.js, which has its texts in a file of its own. */
export function copyrightFile(files, nodeDirectory) {
  const licence = readFileSync("LICENSE", "utf8").trim();
  const ours = paragraph({
    files: "*",
    copyright: licence.split("\n").filter((line) => line.startsWith("Copyright")),
    license: "MIT",
    text: licence,
  });
  const theirs = byOrigin(files)
    .map(([directory, itsFiles]) => describe(directory, itsFiles))
    .map((one) => paragraph({ ...one, files: `${one.directory}/*`, comment: titled(one) }));
  return [header, ours, ...theirs, node(nodeDirectory)].join("\n");
}

function node(directory) {
  const { name, version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  return paragraph({
    files: `node_modules/${name}/*`,
    copyright: ["Node.js contributors, and those whom LICENSE.node.gz names"],
    license: "Node.js",
    comment: titled({ name: "Node.js", version, homepage: "https://nodejs.org/" }),
    text: "Its licence, and those of what is in it, are in LICENSE.node.gz beside this file.",
  });
}

function titled({ name, version, homepage }) {
  return `${name} ${version}, ${homepage}`;
}

function paragraph({ files, copyright, license, comment, text }) {
  const short = license.replace(/[()]/g, "").replace(/ (OR|AND) /g, (word) => word.toLowerCase());
  return [
    `Files: ${files}`,
    `Copyright: ${copyright.join("\n ")}`,
    ...(comment ? [`Comment: ${comment}`] : []),
    `License: ${short}`,
    ...text.split("\n").map((line) => ` ${line.trimEnd() || "."}`),
    "",
  ].join("\n");
}
