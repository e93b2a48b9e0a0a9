// systemd itself, as process 1 of namespaces of its own: it runs the units as they are shipped, and the program as it was
// built, in a second. What a kernel, a device or a boot loader does is not in it: test/boot has that.

import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Others than root need a range of users (/etc/subuid, newuidmap) and a cgroup that they may divide. */
const isRoot = process.getuid?.() === 0;

export interface Rig extends AsyncDisposable {
  /** Runs a shell script as root; throws when it fails. Answers with what it says, without the last line's end. */
  sh(script: string): Promise<string>;
  /** Waits until a shell script succeeds. */
  until(script: string, seconds?: number): Promise<void>;
  /** A unit's properties, as `systemctl show` has them. */
  show<Name extends string>(unit: string, ...names: readonly Name[]): Promise<Record<Name, string>>;
  /** Writes a file of there. */
  write(path: string, content: string | Buffer): void;
}

/** What this machine lacks for it, in words; undefined when nothing. */
export function lackingForRig(): string | undefined {
  try {
    using place = newPlace();
    const [command = "", ...args] = [...place.enter, ...scriptIn(place.root, "probe")];
    const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
    return status === 0 ? undefined : (error?.message ?? stderr.trim().split("\n")[0]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Resolves when systemd is up, with the units installed and none of them enabled; `bare`: with nothing of ours. */
export async function startRig(kind: "built" | "bare" = "built"): Promise<Rig> {
  const place = newPlace();
  const [command = "", ...args] = [...place.enter, ...scriptIn(place.root, kind)];
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "exit");
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await once(child, "spawn");
  const stop = async (): Promise<void> => {
    const pid = Number(init(child.pid));
    if (pid > 0) process.kill(pid, "SIGKILL"); // and all that is in there with it
    await ended;
    place[Symbol.dispose]();
  };

  const inside = async (program: string, ...words: readonly string[]): Promise<string> => {
    const namespaces = ["--target", init(child.pid), "-m", "-p", "-C", "-u", "-i", "--root", "--wd"];
    if (!isRoot) namespaces.push("-U");
    const env = { PATH: "/usr/sbin:/usr/bin" };
    const { stdout } = await run("nsenter", [...namespaces, "--", program, ...words], { env });
    return stdout.trimEnd();
  };
  const rig: Rig = {
    sh: (script) => inside("sh", "-euc", script),
    until: async (script, seconds = 20) => {
      const over = performance.now() + seconds * 1000;
      for (;;) {
        try {
          await rig.sh(script);
          return;
        } catch (cause) {
          if (child.exitCode !== null) throw new Error(`systemd ended: ${said}`, { cause });
          if (performance.now() > over) {
            const journal = await rig.sh("systemctl list-jobs; journalctl -q -o short-precise -n 60");
            throw new Error(`not within ${seconds} s: ${script}\n${journal}`, { cause });
          }
        }
        await pause(30);
      }
    },
    show: async (unit, ...names) => {
      const lines = (await inside("systemctl", "show", unit, "-p", names.join(","))).split("\n");
      return Object.fromEntries(
        lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
      ) as Record<(typeof names)[number], string>;
    },
    write: (path, content) => {
      const file = join(`/proc/${init(child.pid)}/root`, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    },
    [Symbol.asyncDispose]: stop,
  };
  try {
    await rig.until("systemctl is-system-running");
    if (kind === "built") await install(rig);
    return rig;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** As the package does it, in a fraction of its time. */
async function install(rig: Rig): Promise<void> {
  const put = (from: string, to: string): void => rig.write(to, readFileSync(join("systemd", from)));
  for (const name of readdirSync("systemd"))
    if (/\.(service|socket|timer|path|target)$/.test(name)) put(name, `/usr/lib/systemd/system/${name}`);
  put("sysusers.conf", "/etc/sysusers.d/mooring.conf");
  put("tmpfiles.conf", "/etc/tmpfiles.d/mooring.conf");
  await rig.sh(`mkdir -p /etc/mooring/config.d /etc/mooring/identity
    systemd-sysusers mooring.conf; systemd-tmpfiles --create mooring.conf; systemctl daemon-reload`);
}

interface Place extends Disposable {
  /** An empty directory. */
  readonly root: string;
  /** A command that runs others in namespaces of their own, which end with it and with us. */
  readonly enter: readonly string[];
}

function newPlace(): Place {
  const cgroup = newCgroup(ownCgroup());
  const root = mkdtempSync(join(tmpdir(), "mooring-rig-"));
  const moved = ["sh", "-euc", 'echo $$ >"$0/cgroup.procs"; exec "$@"', cgroup];
  const namespaces = ["--mount", "--pid", "--cgroup", "--uts", "--ipc", "--fork", "--kill-child"];
  if (!isRoot) namespaces.push("--user", "--map-auto", "--map-root-user");
  return {
    root,
    enter: ["setpriv", "--pdeathsig", "KILL", "--", ...moved, "unshare", ...namespaces, "--"],
    [Symbol.dispose]: () => {
      removeCgroup(cgroup);
      rmdirSync(root);
    },
  };
}

const scriptIn = (root: string, kind: "built" | "bare" | "probe"): string[] => [
  ...["sh", resolve("test/support/service-manager-rig.sh"), root, resolve(".")],
  ...[dirname(realpathSync(process.execPath)), kind],
];

/** Ours in the unified hierarchy, wherever that is mounted. */
function ownCgroup(): string {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8");
  const mounted = /^(?:\S+ ){4}(\S+) .* - cgroup2 /m.exec(mounts)?.[1];
  const path = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
  if (mounted === undefined || path === undefined) throw new Error("there is no cgroup2 file system");
  return join(mounted, path);
}

function newCgroup(parent: string): string {
  try {
    return mkdtempSync(join(parent, "mooring-rig-"));
  } catch (cause) {
    const how = isRoot ? "" : "; it can with `systemd-run --user --scope -p Delegate=yes npm test`";
    throw new Error(`this user cannot make a cgroup below ${parent}${how}`, { cause });
  }
}

function removeCgroup(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(directory, entry.name));
  rmdirSync(directory);
}

/** Process 1, by its number out here: the one child of `unshare`. Nothing when it has ended. */
function init(unshare: number | undefined): string {
  try {
    return readFileSync(`/proc/${unshare}/task/${unshare}/children`, "utf8").trim();
  } catch {
    return "";
  }
}
