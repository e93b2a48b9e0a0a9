// Whose code is in the package, and under which licence, as the package itself says.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mappedPackages, paragraphsOf, unnamed } from "../support/copyright.ts";

const directory = mkdtempSync(join(tmpdir(), "mooring-copyright-"));
const root = join(directory, "root");
const command = [resolve("scripts/package.mjs"), "--as-built", "--uncompressed", "--out", directory];
let copyright: string;
beforeAll(() => {
  execFileSync(process.execPath, command, { stdio: "pipe" });
  const [file = ""] = readdirSync(directory).filter((name) => name.endsWith(".deb"));
  execFileSync("dpkg-deb", ["--extract", join(directory, file), root]);
  copyright = readFileSync(join(root, "usr/share/doc/mooring/copyright"), "utf8");
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What gives somebody's code away, and where it is seen below usr/lib/mooring. */
const traces: readonly (readonly [place: RegExp, trace: string, owner: string])[] = [
  [/^portal\/main-.*\.js$/, "dangerouslySetInnerHTML", "node_modules/preact"],
  [/^portal\/main-.*\.js$/, "u-hz", "node_modules/uplot"],
  [/^portal\/main-.*\.css$/, "u-hz", "node_modules/uplot"],
  [/^pkcs12\.js$/, "pbeWithSHAAnd2-KeyTripleDES-CBC", "node_modules/node-forge"],
  [/ffi-napi\/index\.js$/, "StructType", "node_modules/ref-struct-di"],
  [/ffi-napi\/index\.js$/, "ForeignFunction", "node_modules/ffi-napi"],
  [/ffi-napi\/binding\.node$/, "WrapPointer", "node_modules/@2060.io/ref-napi"],
  [/ffi-napi\/ffi_bindings\.node$/, "get_uv_event_loop", "node_modules/get-uv-event-loop-napi-h"],
  [/ffi-napi\/ffi_bindings\.node$/, "_ZN4Napi", "node_modules/node-addon-api"],
];

const paragraphOf = (name: string): string => `Files: ${name}/*\n`;
const without = (name: string): string => {
  const all = copyright.split("\n\n");
  return all.filter((paragraph) => !`${paragraph}\n`.startsWith(paragraphOf(name))).join("\n\n");
};

describe("the copyright file", () => {
  it("begins with what is ours, and keeps to Debian's form", () => {
    const [header, ours, ...others] = paragraphsOf(copyright);
    expect(header?.["Format"]).toBe("https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/");
    expect(ours).toMatchObject({ Files: "*", Copyright: expect.stringContaining("The Mooring authors") });
    expect(ours?.["License"]?.replace(/^MIT\n/, "")).toBe(readFileSync("LICENSE", "utf8").trim());
    expect(others.length).toBeGreaterThan(60);
    for (const { Files, Copyright, License, Comment } of others) {
      expect(Files).toMatch(/^node_modules\/.*\/\*$/);
      expect(Copyright, Files).toMatch(/\w/);
      expect(License, Files).toMatch(/^[\w.-]+( (or|and) [\w.-]+)*\n.*\w/);
      expect(Comment, Files).toMatch(/^\S+ \d+\.\d+\S*, https?:\/\/\S+$/);
    }
    expect(() => paragraphsOf(copyright.replace("\n .\n", "\n.\n"))).toThrow("misplaced"); // negative control
  });

  it("names everybody whose code is in the program, with the licence", () => {
    const packages = mappedPackages("dist");
    expect(packages.length).toBeGreaterThan(50);
    expect(unnamed(copyright, packages)).toEqual([]);
    for (const name of packages) expect(unnamed(without(name), packages)).toEqual([name]); // negative control
    const blurred = copyright.replace("Copyright (c) 2010, Digital Bazaar, Inc.\n All", "\n All");
    expect(unnamed(blurred, packages)).toEqual(["node_modules/node-forge"]); // negative control
  });

  it.each(traces)("names whose code is seen in %s: %s", (place, trace, owner) => {
    const lib = join(root, "usr/lib/mooring");
    const [path = ""] = readdirSync(lib, { recursive: true, encoding: "utf8" }).filter((name) =>
      place.test(name),
    );
    expect(readFileSync(join(lib, path)).includes(trace)).toBe(true);
    expect(unnamed(copyright, [owner])).toEqual([]);
    expect(unnamed(without(owner), [owner])).toEqual([owner]); // negative control
  });

  it("keeps what is said of code only where it was taken over", () => {
    const about = (name: string): string =>
      copyright.split("\n\n").find((one) => one.startsWith(paragraphOf(name))) ?? "";
    for (const text of [
      "2003-2005  Tom Wu",
      "must retain an intact copy",
      "base-x contributors",
      "Kenji Urushima",
    ])
      expect(about("node_modules/node-forge")).toContain(text);
    const libffi = about("node_modules/ffi-napi/deps/libffi");
    for (const text of ["Anthony Green", "Plausible Labs", "``Software''"]) expect(libffi).toContain(text);
    expect(about("node_modules/qrcode-generator")).toContain("2009 Kazuhiko Arase");
  });

  it("has Node.js's licences beside it", () => {
    expect(copyright).toMatch(/^Comment: Node\.js \d+\./m);
    expect(readdirSync(join(root, "usr/share/doc/mooring"))).toContain("LICENSE.node.gz");
  });

  it("does not come to be where somebody's licence is missing", () => {
    const elsewhere = join(directory, "elsewhere");
    mkdirSync(elsewhere);
    for (const name of [
      "CHANGELOG.md",
      "LICENSE",
      "dist",
      "native",
      "node_modules",
      "package.json",
      "systemd",
    ])
      symlinkSync(resolve(name), join(elsewhere, name));
    const missing = "packaging/licences/qrcode-generator.txt";
    cpSync("packaging", join(elsewhere, "packaging"), {
      recursive: true,
      filter: (path) => path !== missing,
    });
    const env = { ...process.env, SOURCE_DATE_EPOCH: "1750000000" };
    const build = () => spawnSync(process.execPath, command, { cwd: elsewhere, env, encoding: "utf8" });
    const refused = build();
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain(`has no licence text; put it into ${missing}`);
    cpSync(missing, join(elsewhere, missing));
    expect(build().status).toBe(0); // negative control
  });

  it("is what the Yocto recipe expects", () => {
    const recipe = readFileSync("packaging/yocto/mooring_0.1.0.bb", "utf8");
    const [, first, last, md5] = /copyright;beginline=(\d+);endline=(\d+);md5=(\w+)"/.exec(recipe) ?? [];
    const lines = copyright.split("\n").slice(Number(first) - 1, Number(last));
    expect(lines[0]).toBe("Files: *");
    expect(lines.at(-1)).toBe(" SOFTWARE.");
    expect(
      createHash("md5")
        .update(`${lines.join("\n")}\n`)
        .digest("hex"),
    ).toBe(md5);
    const named = /^LICENSE = "(.*)"$/m.exec(recipe)?.[1]?.split(" & ");
    const used = paragraphsOf(copyright).flatMap(({ License }) => License?.split(/\n| or /)[0] ?? []);
    expect(named?.sort()).toEqual([...new Set(used)].filter((name) => name !== "Node.js").sort());
  });
});
