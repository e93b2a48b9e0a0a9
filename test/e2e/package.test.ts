// The Debian package as a file: what is in it, for whom, and that it comes out the same every time. test/boot installs it.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const directory = mkdtempSync(join(tmpdir(), "mooring-package-"));
const root = join(directory, "root");
let file: string;
beforeAll(() => {
  file = made("first");
  execFileSync("dpkg-deb", ["--raw-extract", file, root]);
});
afterAll(() => rmSync(directory, { recursive: true }));

function made(name: string, umask = "022"): string {
  const out = join(directory, name);
  const command = `umask ${umask}; exec "$0" scripts/package.mjs --as-built --uncompressed --out "$1"`;
  execFileSync("sh", ["-c", command, process.execPath, out], { stdio: "pipe" });
  return join(out, readdirSync(out)[0] ?? "");
}

const nativeParts = ["libmooring-tpm.so", "mooring-system.node"];
const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
const filesIn = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe("the package", () => {
  it.each(["002", "077"])("is the same to the byte when somebody builds it with the umask %s", (umask) => {
    expect(sha256(made(umask, umask))).toBe(sha256(file));
  });

  it("has native parts that are the same to the byte wherever they are built", () => {
    const elsewhere = join(directory, "elsewhere");
    cpSync("native", join(elsewhere, "native"), {
      recursive: true,
      filter: (path) => path !== "native/build",
    });
    symlinkSync(resolve("node_modules"), join(elsewhere, "node_modules"));
    const build = (...options: readonly string[]): string[] => {
      execFileSync("make", ["-s", "-B", "-C", join(elsewhere, "native"), ...options], { stdio: "pipe" });
      return nativeParts.map((name) => sha256(join(elsewhere, "native/build", name)));
    };
    const here = nativeParts.map((name) => sha256(join("native/build", name)));
    expect(build()).toEqual(here);
    expect(build("NOWHERE=")).not.toEqual(here); // negative control
  });

  it("belongs to root, can be changed by nobody else, and lends nobody its rights", () => {
    const entries = execFileSync("dpkg-deb", ["--contents", file], { encoding: "utf8" }).trim().split("\n");
    expect(entries.length).toBeGreaterThan(40);
    for (const entry of entries) expect(entry).toMatch(/^[-d]r[-w][-x]r-[-x]r-[-x] root\/root /);
  });

  it("has all units, and a program that runs", () => {
    const units = readdirSync("systemd").filter((name) => /\.(service|socket|timer|path|target)$/.test(name));
    expect(readdirSync(join(root, "usr/lib/systemd/system")).sort()).toEqual(units.sort());
    const main = [join(root, "usr/lib/mooring/node"), join(root, "usr/lib/mooring/main.js")] as const;
    const version = execFileSync(main[0], [main[1], "--version"], { encoding: "utf8" }).trim();
    expect(readFileSync(join(root, "DEBIAN/control"), "utf8")).toContain(`\nVersion: ${version}\n`);
  });

  it("says what its files are, so that Node need not try", () => {
    const run = (flag: string, ...rest: string[]): string =>
      execFileSync(join(root, "usr/lib/mooring/node"), [flag, ...rest], { encoding: "utf8", stdio: "pipe" });
    const main = join(root, "usr/lib/mooring/main.js");
    expect(run("--no-experimental-detect-module", main, "--version")).not.toBe("");
    const untold = join(directory, "main.js");
    copyFileSync(main, untold);
    expect(() => run("--no-experimental-detect-module", untold, "--version")).toThrow("import");
  });

  it("asks for nothing before it is configured, and lets the agent leave", () => {
    const config = readFileSync(join(root, "usr/share/mooring/config.toml"), "utf8");
    expect(config).not.toMatch(/^id_scope/m);
    expect(config).toMatch(/^idle_exit = "2min"/m);
  });

  it("depends on the packages of the libraries that it is linked with", () => {
    const control = readFileSync(join(root, "DEBIAN/control"), "utf8");
    const depends = (/^Depends: (.*)$/m.exec(control)?.[1] ?? "").split(", ").map((one) => one.split(" ")[0]);
    const objects = filesIn(join(root, "usr/lib/mooring")).filter((path) =>
      /\.(node|so)$|\/node$/.test(path),
    );
    expect(objects.length).toBe(5);
    const needed = new Set(objects.flatMap(librariesOf));
    expect([...needed].filter((name) => !depends.some((one) => one === packageOf[name]))).toEqual([]);
  });

  it("tells nothing of where it was built", () => {
    const here = process.cwd();
    const telling = filesIn(root).filter((path) => readFileSync(path).includes(here));
    expect(telling).toEqual([]);
  });

  it("has scripts that a shell understands", () => {
    const scripts = ["preinst", "postinst", "prerm", "postrm"].map((name) => `DEBIAN/${name}`);
    for (const name of [...scripts, "usr/lib/mooring/announce-again", "usr/lib/mooring/follow-assignment"])
      execFileSync("dash", ["-n", join(root, name)]);
  });

  it("has directories for what is watched, and no file there that would stop an upgrade with a question", () => {
    expect(readdirSync(join(root, "etc/mooring")).sort()).toEqual(["config.d", "identity"]);
    expect(filesIn(join(root, "etc"))).toEqual([]);
    expect(readdirSync(join(root, "DEBIAN"))).not.toContain("conffiles");
  });

  it("gives lintian no reason to complain", () => {
    expect(judged(file)).toEqual({ code: 0, said: "" });
    const nameless = join(directory, "nameless.deb");
    for (const path of ["usr/share/doc/mooring/copyright", "usr/lib/mooring"])
      rmSync(join(root, path), { recursive: true });
    execFileSync("dpkg-deb", ["--build", "-Znone", root, nameless], { stdio: "pipe" });
    expect(judged(nameless).said).toContain("no-copyright-file"); // negative control
  });
});

/** As it ships it is compressed; here that would take a minute. */
function judged(deb: string): { code: number | null; said: string } {
  const asBuiltHere = ["control", "data"].map((part) => `uses-no-compression-for-${part}-tarball`).join(",");
  const options = ["--allow-root", "--fail-on=error,warning", `--suppress-tags=${asBuiltHere}`];
  const env = { ...process.env, TMPDIR: directory };
  const { status, stdout, stderr } = spawnSync("lintian", [...options, deb], { env, encoding: "utf8" });
  return { code: status, said: `${stdout}${stderr}` };
}

/** Debian 12's names. */
const packageOf: Readonly<Record<string, string>> = {
  "libc.so.6": "libc6",
  "libm.so.6": "libc6",
  "libdl.so.2": "libc6",
  "libpthread.so.0": "libc6",
  "ld-linux-x86-64.so.2": "libc6",
  "ld-linux-aarch64.so.1": "libc6",
  "libgcc_s.so.1": "libgcc-s1",
  "libstdc++.so.6": "libstdc++6",
  "libcrypto.so.3": "libssl3",
  "libtss2-esys.so.0": "libtss2-esys-3.0.2-0",
  "libtss2-mu.so.0": "libtss2-mu0",
  "libtss2-rc.so.0": "libtss2-rc0",
  "libtss2-sys.so.1": "libtss2-sys1",
  "libtss2-tctildr.so.0": "libtss2-tctildr0",
};

function librariesOf(path: string): string[] {
  const dynamic = execFileSync("readelf", ["--dynamic", "--wide", path], { encoding: "utf8" });
  return [...dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name = ""]) => name);
}
