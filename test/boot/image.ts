// The disk that all scenarios start from: a bare Debian, in it the package, and what the test needs inside. Each part is
// made once and kept for as long as what it is made of stays the same.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { architecture, letProgramsRun } from "./architecture.ts";

export interface Image {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  /** The package that is installed in it. */
  readonly packageFile: string;
}

/** Debian's name of a release. */
const { MOORING_BOOT_SUITE: suite = "bookworm" } = process.env;
const caches = process.env["MOORING_BOOT_CACHE"] ?? join(homedir(), ".cache/mooring-boot");
/** One for each kind of machine, so that they do not discard each other's. */
const cache = join(caches, `${suite}-${architecture.name}`);

const packages = [
  ...["systemd", "systemd-sysv", "udev", "dbus", "kmod", architecture.kernel, "procps", "iproute2"],
  // The independent party that looks into the TPM, and what the package only recommends.
  ...["openssl", "tpm2-tools", "tpm-udev"],
];
/** Debian's own trust in its archive is enough: what is unpacked is signed. */
const bootstrap = (dependencies: readonly string[]): string[] => [
  ...[`--arch=${architecture.name}`, "--variant=minbase"],
  `--include=${[...packages, ...dependencies].join(",")}`,
  ...["doc", "man", "locale"].map((what) => `--dpkgopt=path-exclude=/usr/share/${what}/*`),
  "--aptopt=Acquire::Languages none",
  suite,
];

/** There from the start, so that dpkg alone can install it. Of two names the first is that in Debian 12. */
function dependenciesOf(packageFile: string): string[] {
  const field = execFileSync("dpkg-deb", ["--field", packageFile, "Depends"], { encoding: "utf8" });
  return field.split(",").map((one) => {
    const names = one.split("|").map((name) => name.trim().split(" ")[0] ?? "");
    return (suite === "bookworm" ? names[0] : names.at(-1)) ?? "";
  });
}

const guestFiles = "test/boot/guest";
const diskSize = "1800M";

export const say = (text: string): void => void process.stderr.write(`boot: ${text}\n`);

/** `packageFile`: the .deb to prove. Needs root, because files of an image have owners. */
export function prepareImage(packageFile: string): Image {
  if (process.getuid?.() !== 0)
    throw new Error("the image of a whole machine has files of root: run this as root");
  mkdirSync(cache, { recursive: true });
  letProgramsRun();
  const base = baseSystem(bootstrap(dependenciesOf(packageFile)));
  const inputs = [basename(base), fileHash(packageFile), diskSize, ...textsIn(guestFiles)];
  const disk = join(cache, `disk-${hashOf(...inputs)}`);
  if (!existsSync(disk)) makeDisk(disk, base, packageFile);
  return {
    disk: join(disk, "disk.img"),
    packageFile: join(disk, basename(packageFile)),
    kernel: join(base, "vmlinuz"),
    initrd: join(base, "initrd.img"),
  };
}

/** A directory with the root file system as an archive, the kernel and its first file system. */
function baseSystem(command: readonly string[]): string {
  const base = join(cache, `base-${hashOf(...command)}`);
  if (existsSync(base)) return base;
  say(`installing a bare Debian ${suite} for ${architecture.name} (once, some minutes)`);
  discard("base-");
  const work = mkdtempSync(join(cache, "new-"));
  execFileSync("mmdebstrap", [...command, join(work, "root.tar")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  for (const name of ["vmlinuz", "initrd.img"]) {
    const [file = ""] = list(join(work, "root.tar"), `./boot/${name}-`);
    execFileSync("tar", ["xf", join(work, "root.tar"), "-C", work, "--strip-components=2", file]);
    renameSync(join(work, basename(file)), join(work, name));
  }
  renameSync(work, base);
  return base;
}

function list(archive: string, prefix: string): string[] {
  const names = execFileSync("tar", ["tf", archive], { encoding: "utf8", maxBuffer: 2 ** 26 }).split("\n");
  return names.filter((name) => name.startsWith(prefix));
}

/** A directory with the disk, and the package that is on it. */
function makeDisk(disk: string, base: string, packageFile: string): void {
  say(`installing ${basename(packageFile)} into the image`);
  discard("disk-");
  const work = mkdtempSync(join(cache, "new-"));
  const root = join(work, "root");
  mkdirSync(root);
  execFileSync("tar", ["xf", join(base, "root.tar"), "-C", root]);
  execFileSync("cp", ["-r", "--preserve=mode", `${guestFiles}/.`, root]);
  cpSync(packageFile, join(root, "mooring.deb"));
  const inside = (...command: string[]): void =>
    void execFileSync("chroot", [root, ...command], { stdio: ["ignore", "ignore", "pipe"] });
  inside("dpkg", "--install", "mooring.deb");
  inside("systemctl", "--quiet", "enable", "factory", "orders", "gateway", "left", "systemd-networkd");
  rmSync(join(root, "mooring.deb"));
  execFileSync("sh", ["-c", 'echo 10.0.2.100 dps.mooring.test >>"$0"/etc/hosts', root]);
  execFileSync("mke2fs", ["-q", "-t", "ext4", "-d", root, join(work, "disk.img"), diskSize]);
  rmSync(root, { recursive: true });
  cpSync(packageFile, join(work, basename(packageFile)));
  renameSync(work, disk);
}

/** What an earlier state of the inputs left. */
function discard(prefix: string): void {
  for (const name of readdirSync(cache))
    if (name.startsWith(prefix) || name.startsWith("new-")) rmSync(join(cache, name), { recursive: true });
}

function textsIn(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => statSync(join(directory, name)).isFile());
  return files.flatMap((name) => [name, readFileSync(join(directory, name), "utf8")]);
}

const fileHash = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");
const hashOf = (...inputs: string[]): string =>
  createHash("sha256").update(inputs.join("\0")).digest("hex").slice(0, 16);
