// Makes the Debian package: `npm run package [-- --arch arm64] [-- --out DIRECTORY]`. Everything in it comes from this
// repository, its lockfile and Debian; built twice from one commit, it is the same to the byte, whoever builds it.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { copyrightFile } from "./copyright.mjs";
import { compiledFiles } from "./third-party.mjs";

/** What Debian, Node and the compiler call the two. */
const machines = {
  amd64: { node: "x64", triplet: "x86_64-linux-gnu" },
  arm64: { node: "arm64", triplet: "aarch64-linux-gnu" },
};
/** The packages that have compiled parts. */
const bindings = ["@2060.io/ref-napi", "ffi-napi"];
const host = process.arch === "x64" ? "amd64" : process.arch;
const { values } = parseArgs({
  options: {
    arch: { type: "string", default: host },
    out: { type: "string", default: "packages" },
    // For tests: the same package, big and soon made; of what is built already, because others are using that.
    uncompressed: { type: "boolean", default: false },
    "as-built": { type: "boolean", default: false },
  },
});
const { arch } = values;
const machine = machines[arch];
if (!machine)
  throw new Error(`there is no package for ${arch}; choose one of ${Object.keys(machines).join(", ")}`);

if (arch !== host) {
  const { status } = spawnSync("sh", ["scripts/setup.sh", "package", arch], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) process.exit(status ?? 70);
}

const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const { version } = manifest;
const epoch = process.env.SOURCE_DATE_EPOCH ?? git("log", "-1", "--format=%ct");
const work = mkdtempSync(join(tmpdir(), "mooring-package-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
// What npm and the compilers keep in a temporary directory goes with ours.
const env = { ...process.env, SOURCE_DATE_EPOCH: epoch, TZ: "UTC", LC_ALL: "C.UTF-8", TMPDIR: work };
const day = new Date(Number(epoch) * 1000).toISOString().slice(0, 10);

const root = join(work, "root");
const lib = join(root, "usr/lib/mooring");

say("the program");
if (!values["as-built"]) run("node", "scripts/build.mjs");
copyProgram();
say(`the native parts for ${arch}`);
const { ours, theirs } = arch === host ? buildNative() : crossNative();
for (const [from, to] of nativeFiles(ours, theirs)) {
  install(from, join(lib, to), 0o644);
  run(`${machine.triplet}-strip`, "--strip-unneeded", join(lib, to));
}
say("Node.js, without symbols");
install(join(nodeDirectory(), "bin/node"), join(lib, "node"), 0o755);
run(`${machine.triplet}-strip`, join(lib, "node"));
say("units, configuration and pages");
copyUnits();
copyPages();
say("the package");
const file = makeDeb();

const content = readFileSync(file);
say(`${file}: ${mebibytes(content.length)} packed, ${mebibytes(sizeOf(root))} installed`);
say(`sha256 ${createHash("sha256").update(content).digest("hex")}`);
process.stdout.write(execFileSync("dpkg-deb", ["--contents", file], { encoding: "utf8" }));

function copyProgram() {
  for (const name of readdirSync("dist"))
    if (!name.endsWith(".map") && name !== ".compile-cache" && name !== "third-party.json")
      cpSync(join("dist", name), join(lib, name), {
        recursive: true,
        filter: (path) => !path.endsWith(".node") && !path.endsWith(".map"),
      });
  // Told nothing, Node compiles each file as CommonJS first, finds that it is none, and begins anew.
  write("usr/lib/mooring/package.json", '{ "type": "module" }\n');
  // Run by the Node.js beside it and no other.
  const main = join(lib, "main.js");
  writeFileSync(main, readFileSync(main, "utf8").replace(/^#!.*\n/, ""));
  chmodSync(main, 0o644);
  write("usr/bin/mooring", '#!/bin/sh\nexec /usr/lib/mooring/node /usr/lib/mooring/main.js "$@"\n', 0o755);
}

/** The directories of what is compiled: of our parts, and of the packages that have some. */
function buildNative() {
  if (!values["as-built"]) run("make", "-s", "-C", "native");
  return { ours: "native/build", theirs: "node_modules" };
}

/** Pairs of a built file and its place below usr/lib/mooring. */
function nativeFiles(ours, theirs) {
  return [
    [join(ours, "libmooring-tpm.so"), "libmooring-tpm.so"],
    [join(ours, "mooring-system.node"), "mooring-system.node"],
    [join(theirs, "ffi-napi/build/Release/ffi_bindings.node"), "node_modules/ffi-napi/ffi_bindings.node"],
    [join(theirs, "@2060.io/ref-napi/build/Release/binding.node"), "node_modules/ffi-napi/binding.node"],
  ];
}

/** With Debian's cross compiler, and Debian's libraries of the other architecture in a directory of their own. */
function crossNative() {
  const { triplet, node } = machine;
  const sysroot = debianLibraries();
  const headers = join(unpackedNode(), "include/node");
  const build = join(work, "native");
  const cross = {
    CC: `${triplet}-gcc`,
    CXX: `${triplet}-g++`,
    AR: `${triplet}-ar`,
    LINK: `${triplet}-g++`,
    CFLAGS: `-O2 -ffile-prefix-map=${work}=.`,
    CXXFLAGS: `-std=gnu++17 -ffile-prefix-map=${work}=.`,
    PKG_CONFIG_SYSROOT_DIR: sysroot,
    PKG_CONFIG_LIBDIR: `${sysroot}/usr/lib/${triplet}/pkgconfig`,
    C_INCLUDE_PATH: `${sysroot}/usr/include/${triplet}`,
    LDFLAGS: `-Wl,-rpath-link,${sysroot}/usr/lib/${triplet}`,
  };
  run("make", "-s", "-C", "native", `BUILD=${build}`, `CC=${cross.CC}`, `NODE_HEADERS=${headers}`, cross);
  const modules = join(work, "node_modules");
  const headerPackages = ["node-addon-api", "get-symbol-from-current-process-h", "get-uv-event-loop-napi-h"];
  for (const name of [...bindings, ...headerPackages]) {
    const isSource = (path) => !path.includes("/build/");
    cpSync(realpathSync(join("node_modules", name)), join(modules, name), {
      recursive: true,
      filter: isSource,
    });
  }
  for (const name of bindings) {
    // npm knows where its node-gyp is; and where npm is told of a nodedir, only the environment gainsays it.
    const options = `--arch=${node} -C ${join(modules, name)}`;
    const gyp = `export npm_config_nodedir="${unpackedNode()}"
      node-gyp configure ${options} && node-gyp build ${options} LIBS=`;
    run("npm", "explore", name, "--", gyp, cross);
  }
  return { ours: build, theirs: modules };
}

/** What the TPM library is linked with, as Debian has it for the other architecture; nothing of it is installed here. */
function debianLibraries() {
  const sysroot = join(work, "sysroot");
  const lists = join(work, "lists");
  const archives = join(work, "archives");
  for (const directory of [sysroot, join(lists, "partial"), archives])
    mkdirSync(directory, { recursive: true });
  const apt = ["-q", "-o", `APT::Architectures::=${arch}`, "-o", `Dir::State::Lists=${lists}`];
  const tss = ["dev", "esys-3.0.2-0", "sys1", "mu0", "rc0", "tctildr0"].map(
    (name) => `libtss2-${name}:${arch}`,
  );
  run("apt-get", ...apt, "update");
  execFileSync("apt-get", [...apt, "download", ...tss, `libssl-dev:${arch}`, `libssl3:${arch}`], {
    cwd: archives,
    env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  for (const name of readdirSync(archives)) run("dpkg-deb", "-x", join(archives, name), sysroot);
  return sysroot;
}

function nodeDirectory() {
  return arch === host ? `node_modules/node-linux-${machine.node}` : unpackedNode();
}

/** The other architecture's Node.js, which npm does not install here. */
function unpackedNode() {
  const directory = join(work, "node");
  if (!existsSync(directory)) {
    mkdirSync(directory);
    const name = `node-linux-${machine.node}@${manifest.optionalDependencies[`node-linux-${machine.node}`]}`;
    run("npm", "pack", "--silent", "--pack-destination", work, name);
    const archive = readdirSync(work).find((one) => one.startsWith("node-linux-") && one.endsWith(".tgz"));
    run("tar", "xf", join(work, archive), "-C", directory, "--strip-components=1");
  }
  return directory;
}

function copyUnits() {
  const to = (directory, from, name = from) =>
    install(join("systemd", from), join(root, directory, name), 0o644);
  for (const name of readdirSync("systemd"))
    if (/\.(service|socket|timer|path|target)$/.test(name)) to("usr/lib/systemd/system", name);
  to("usr/lib/sysusers.d", "sysusers.conf", "mooring.conf");
  to("usr/lib/tmpfiles.d", "tmpfiles.conf", "mooring.conf");
  for (const name of ["proxy", "group", "serial"])
    to("usr/share/doc/mooring/examples", `${name}.conf.example`);
}

function copyPages() {
  const manual = (kind) => output("node", "dist/main.js", "manual", kind, "--date", day);
  write("usr/share/man/man8/mooring.8.gz", zipped(manual("mooring.8")));
  write("usr/share/man/man5/mooring.toml.5.gz", zipped(manual("mooring.toml.5")));
  write("usr/share/bash-completion/completions/mooring", manual("completion"));
  // Nothing is asked for before an operator has said of whom. And where systemd holds the socket, the timer and the
  // watch on the files, nobody needs to stay: a gateway at rest has no process of ours.
  const config = output("node", "dist/main.js", "config", "example")
    .replace(/^id_scope = .*$/m, '#id_scope = "0ne00000000"')
    .replace(/^idle_exit = "off" /m, 'idle_exit = "2min"');
  // The one in /etc is made of it by the first installation: a file of dpkg's there would stop upgrades with questions.
  write("usr/share/mooring/config.toml", config);
  // mooring.path watches them, and only what is there can be watched well.
  for (const name of ["config.d", "identity"])
    mkdirSync(join(root, "etc/mooring", name), { recursive: true });
  const compiled = bindings.flatMap((name) => compiledFiles(join(theirs, name)));
  const bundled = JSON.parse(readFileSync("dist/third-party.json", "utf8"));
  write("usr/share/doc/mooring/copyright", copyrightFile([...bundled, ...compiled], nodeDirectory()));
  write("usr/share/doc/mooring/LICENSE.node.gz", zipped(readFileSync(join(nodeDirectory(), "LICENSE"))));
  write("usr/share/doc/mooring/NEWS.gz", zipped(readFileSync("CHANGELOG.md")));
  write("usr/share/doc/mooring/changelog.gz", zipped(debianChangelog()));
  install("packaging/debian/lintian-overrides", join(root, "usr/share/lintian/overrides/mooring"), 0o644);
}

/** In Debian's form; what changed is in NEWS. */
function debianChangelog() {
  const [, maintainer] = /^Maintainer: (.*)$/m.exec(readFileSync("packaging/debian/control", "utf8"));
  const date = output("date", "-R", "-u", "-d", `@${epoch}`).trim();
  return `mooring (${version}) stable; urgency=medium\n\n  * See NEWS.gz.\n\n -- ${maintainer}  ${date}\n`;
}

/** Whatever the umask is here, and was when the repository was checked out. */
function settleModes() {
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isSymbolicLink()) chmodSync(path, statSync(path).mode & 0o100 ? 0o755 : 0o644);
  }
  chmodSync(root, 0o755);
}

function makeDeb() {
  const filled = readFileSync("packaging/debian/control", "utf8")
    .replace("@VERSION@", version)
    .replace("@ARCH@", arch)
    .replace("@SIZE@", String(Math.ceil(sizeOf(root) / 1024)));
  write("DEBIAN/control", filled);
  for (const name of ["preinst", "postinst", "prerm", "postrm"])
    install(join("packaging/debian", name), join(root, "DEBIAN", name), 0o755);
  write("DEBIAN/md5sums", md5sums());
  settleModes();
  mkdirSync(values.out, { recursive: true });
  const file = resolve(values.out, `mooring_${version}_${arch}.deb`);
  // One thread, because how many there are changes the bytes.
  const compression = values.uncompressed ? "-Znone" : "-Zxz";
  run("dpkg-deb", "--root-owner-group", compression, "--threads-max=1", "--build", root, file);
  return file;
}

function md5sums() {
  const names = filesIn(root).filter((name) => !name.startsWith("DEBIAN/"));
  const sum = (name) =>
    createHash("md5")
      .update(readFileSync(join(root, name)))
      .digest("hex");
  return names.map((name) => `${sum(name)}  ${name}\n`).join("");
}

/** Regular files, by name. */
function filesIn(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

function sizeOf(directory) {
  return filesIn(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

function write(name, content, mode = 0o644) {
  const path = join(root, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
}

function install(from, to, mode) {
  mkdirSync(join(to, ".."), { recursive: true });
  cpSync(from, to, { dereference: true });
  chmodSync(to, mode);
}

function zipped(text) {
  return gzipSync(text, { level: 9 });
}

function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function say(text) {
  process.stderr.write(`package: ${text}\n`);
}

/** The last argument may be an object with more environment. */
function run(command, ...args) {
  const more = typeof args.at(-1) === "object" ? args.pop() : {};
  execFileSync(command, args, { env: { ...env, ...more }, stdio: ["ignore", "ignore", "inherit"] });
}

function output(command, ...args) {
  return execFileSync(command, args, { env, encoding: "utf8" });
}

function git(...args) {
  return execFileSync("git", args, { encoding: "utf8" }).trim();
}
