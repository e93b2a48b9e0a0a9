// The native module, as it was built: datagrams against a real datagram socket, peers against a real other process.

import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, statSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { serviceManager } from "../../src/system/service-manager.ts";
import { type SystemAddon, systemAddon } from "../../src/system/system-addon.ts";
import { nodeCommand, source } from "../support/children.ts";
import { datagramsAt } from "../support/datagrams.ts";
import { recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const { errno } = constants;
const addon = systemAddon({ log: recordingLog() }) as SystemAddon;

describe("notify()", () => {
  it.each([
    ["a path", (): string => join(temporaryDirectory(), "notify")],
    ["an abstract name", (): string => `@mooring-${randomBytes(6).toString("hex")}`],
  ])("sends a datagram to %s", async (_what, name) => {
    const path = name();
    const next = await datagramsAt(path);
    expect(addon.notify(path, "READY=1\nSTATUS=größer")).toBe(0);
    expect(await next()).toBe("READY=1\nSTATUS=größer");
    const manager = serviceManager({ env: { NOTIFY_SOCKET: path }, log: recordingLog() });
    manager.stopping();
    expect(await next()).toBe("STOPPING=1");
  });

  it.each<[string, readonly unknown[], number]>([
    ["nobody", ["/nonexistent/notify", "x"], errno.ENOENT],
    ["a path that does not fit", [`/${"x".repeat(200)}`, "x"], errno.ENAMETOOLONG],
    ["no path", ["", "x"], errno.ENAMETOOLONG],
    ["what is no text", [1, 2], errno.EINVAL],
    ["nothing", [], errno.EINVAL],
  ])("to %s says why not", (_what, args, failure) => {
    expect((addon.notify as (...args: readonly unknown[]) => number)(...args)).toBe(failure);
  });

  it("does not hold us up when the manager does not read", () => {
    // Nobody reads this one: its queue fills up.
    const program = `
      import socket, subprocess, sys
      ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
      ear.bind(sys.argv[1])
      sys.exit(subprocess.run(sys.argv[2:]).returncode)`.replaceAll("\n      ", "\n");
    const path = join(temporaryDirectory(), "deaf");
    const child = nodeCommand(`
      import { systemAddon } from ${source("system/system-addon.ts")};
      import { silentLog } from ${source("system/log.ts")};
      const { notify } = systemAddon({ log: silentLog });
      let failure = 0;
      for (let count = 0; count < 10000 && failure === 0; count++) failure = notify(${JSON.stringify(path)}, "x");
      process.stdout.write(String(failure));`);
    const { stdout, stderr } = spawnSync("python3", ["-c", program, path, ...child], { encoding: "utf8" });
    expect(Number(stdout), stderr).toBe(errno.EAGAIN);
  });
});

describe("peer()", () => {
  it("names the process and user at the other end, whatever has become of them", async () => {
    const path = join(temporaryDirectory(), "socket");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
    const program =
      "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(os.getpid())";
    const { stdout } = spawnSync("python3", ["-c", program, path], { encoding: "utf8" });
    const socket = await accepted;
    const descriptor = (socket as unknown as { _handle: { fd: number } })._handle.fd;
    const uid = process.getuid?.();
    expect(addon.peer(descriptor)).toEqual({ pid: Number(stdout), uid, gid: process.getgid?.() });
    socket.destroy();
    server.close();
  });

  it("knows nobody behind what is no connected Unix socket", async () => {
    const file = openSync("/dev/null", "r");
    expect(addon.peer(file)).toBeUndefined();
    closeSync(file);
    expect(addon.peer(-1)).toBeUndefined();
    expect((addon.peer as (...args: readonly unknown[]) => unknown)()).toBeUndefined();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const client = connect(port, "127.0.0.1");
    const socket = await new Promise<Socket>((resolve) => server.once("connection", resolve));
    expect(addon.peer((socket as unknown as { _handle: { fd: number } })._handle.fd)).toBeUndefined();
    client.destroy();
    socket.destroy();
    server.close();
  });
});

describe("a process with a secret", () => {
  it.runIf(process.getuid?.() === 0)(
    "keeps its memory out of core files and from other processes of its user",
    () => {
      const child = (program: string): string => {
        const { stdout, stderr } = spawnSync("setpriv", [...unprivileged, ...nodeCommand(program)], {
          encoding: "utf8",
          env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1", HOME: "/" },
        });
        expect(stderr).toBe("");
        return stdout;
      };
      const owner = `process.stdout.write(String((await import("node:fs")).statSync("/proc/self/mem").uid));`;
      // What may not be dumped belongs to root in /proc (proc(5)).
      expect(child(owner)).toBe("65534");
      expect(
        child(`const { Secret } = await import(${source("system/secret.ts")}); new Secret("x"); ${owner}`),
      ).toBe("0");
    },
  );
});

const unprivileged = ["--reuid=65534", "--regid=65534", "--clear-groups"];

it("the module loads in next to no time, and needs nothing but the C library", () => {
  const { stdout } = spawnSync("ldd", ["native/build/mooring-system.node"], { encoding: "utf8" });
  expect(new Set(stdout.match(/lib\w+(?=\.so)/g))).toEqual(new Set(["libc"]));
  expect(statSync("native/build/mooring-system.node").size).toBeLessThan(100_000);
});
