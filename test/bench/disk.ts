// What a gateway gives up of its disk: the package, by what is in it, and what the agent writes beside it, which must not
// grow with the years.

import { execFile } from "node:child_process";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Verdict } from "./aims.ts";
import { table } from "./report.ts";
import { program, type Stage } from "./stage.ts";
import { x509Identity } from "./subjects.ts";

const execute = promisify(execFile);

/** Bytes; `written`, allocated blocks. */
export interface Disk {
  readonly installed: readonly { readonly part: string; readonly bytes: number }[];
  readonly written: readonly {
    readonly after: number;
    readonly state: number;
    readonly compiled: number;
  }[];
}

const parts: readonly (readonly [part: string, pattern: RegExp])[] = [
  ["Node.js", /^\.\/usr\/lib\/mooring\/node$/],
  ["native parts", /\.(so|node)$/],
  ["the local service and its portal", /^\.\/usr\/lib\/mooring\/.*(service|portal)/],
  ["the program", /^\.\/usr\/lib\/mooring\//],
  ["units, pages, configuration", /^\.\//],
];

/** After these numbers of registrations the state is looked at. */
const [few, many] = [2, 12];

export async function measureDisk(stage: Stage): Promise<Disk> {
  return {
    installed: await measurePackage(join(stage.directory, "package")),
    written: await measureState(stage),
  };
}

async function measurePackage(directory: string): Promise<Disk["installed"]> {
  await execute(process.execPath, [
    "scripts/package.mjs",
    "--as-built",
    "--uncompressed",
    "--out",
    directory,
  ]);
  const [name = ""] = await readdir(directory);
  const { stdout } = await execute("dpkg-deb", ["--contents", join(directory, name)]);
  await rm(directory, { recursive: true });
  const files = stdout.split("\n").filter((line) => line.startsWith("-"));
  const bytes = new Map(parts.map(([part]) => [part, 0]));
  for (const line of files) {
    const [, , size, , , path = ""] = line.split(/\s+/);
    const [part] = parts.find(([, pattern]) => pattern.test(path)) ?? parts[parts.length - 1] ?? [""];
    bytes.set(part, (bytes.get(part) ?? 0) + Number(size));
  }
  return [...bytes].map(([part, sum]) => ({ part, bytes: sum }));
}

async function measureState(stage: Stage): Promise<Disk["written"]> {
  const identity = x509Identity(await stage.issueCertificate("disk"));
  const config = await stage.writeConfig("disk", "mqtt", identity);
  const cache = join(stage.directory, "disk.cache");
  await mkdir(cache);
  const env = { PATH: "/usr/bin:/bin", CACHE_DIRECTORY: cache };
  const written: Disk["written"][number][] = [];
  for (let after = 1; after <= many; after++) {
    await execute(process.execPath, [program, "reprovision", "--config", config], { env });
    if (after !== few && after !== many) continue;
    const [state, compiled] = [await allocated(join(stage.directory, "disk.state")), await allocated(cache)];
    written.push({ after, state, compiled });
  }
  return written;
}

async function allocated(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true });
  const stats = await Promise.all(["", ...names].map((name) => stat(join(directory, name))));
  return stats.reduce((sum, { blocks }) => sum + blocks * 512, 0);
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;
const sum = ({ installed }: Disk): number => installed.reduce((all, { bytes }) => all + bytes, 0);

export function diskText(disk: Disk): string {
  const rows = disk.installed.map(({ part, bytes }) => [part, mib(bytes)]);
  const growing = disk.written.map(({ after, state, compiled }) => [
    `after ${after} registrations`,
    kib(state),
    kib(compiled),
  ]);
  return `
${table(1, [["The package, installed", ""], ...rows, ["in all", mib(sum(disk))]])}

${table(1, [["What the agent writes", "state", "compiled code"], ...growing])}`;
}

export function diskVerdicts({ written }: Disk): Verdict[] {
  const [early, late] = [written[0]?.state ?? 0, written.at(-1)?.state ?? 0];
  return [
    {
      what: `disk: state after ${many} registrations`,
      aim: `≤ that after ${few}`,
      got: `${kib(late)} to ${kib(early)}`,
      met: late > 0 && late <= early,
    },
  ];
}
