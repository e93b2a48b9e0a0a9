// The control socket: a real server, real sockets, and a daemon behind it that does as it is told.

import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { array, assert, asyncProperty, uint8Array } from "fast-check";
import { describe, expect, it } from "vitest";
import { askDaemon } from "../../../src/agent/control/client.ts";
import { MooringError } from "../../../src/errors.ts";
import { systemClock } from "../../../src/system/clock.ts";
import type { Peer } from "../../../src/system/system-addon.ts";
import { ended, source, started } from "../../support/children.ts";
import { aProvisioned, aStatus, closed, controlStage, rawClient } from "../../support/control.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { thrownBy } from "../../support/thrown.ts";
import { virtualClock } from "../../support/virtual-clock.ts";

/** Under load it may take a while. */
const soon = <Value>(probe: () => Value) => expect.poll(probe, { timeout: 20_000 });

const never = (): Promise<never> => new Promise(() => {});
/** Until the signal ends it. */
const aborted = ({ signal }: { signal: AbortSignal }): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
const asUser =
  (uid: number | undefined): (() => { peer(): Peer | undefined }) =>
  () => ({ peer: () => (uid === undefined ? undefined : { pid: 1, uid, gid: uid }) });
const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("a client", () => {
  it("gets the daemon's answer", async () => {
    const { ask, asked } = await controlStage();
    expect(await ask({ do: "status" })).toEqual(aStatus);
    expect(await ask({ do: "wait" })).toEqual(aStatus);
    expect(await ask({ do: "provision", wait: true })).toEqual(aProvisioned);
    expect(await ask({ do: "reprovision", wait: true })).toEqual(aProvisioned);
    expect(await ask({ do: "rollback" })).toEqual(aProvisioned);
    expect(asked).toEqual(["status", "usable", "provision", "reprovision", "rollBack"]);
  });

  it("hears what happens while it waits, and nothing before or after", async () => {
    const heard: unknown[] = [];
    const { ask, daemonLog } = await controlStage({
      reprovision: async () => {
        daemonLog.info("provisioning.started", { because: "an operator asked for it" });
        daemonLog.debug("identity.opened");
        return aProvisioned;
      },
    });
    daemonLog.info("early");
    await ask({ do: "reprovision", wait: true }, { onEvent: (progress) => heard.push(progress) });
    daemonLog.info("late");
    expect(heard).toEqual([
      { level: "info", event: "provisioning.started", fields: { because: "an operator asked for it" } },
      { level: "debug", event: "identity.opened", fields: {} },
    ]);
  });

  it("need not wait for the end, and is not told of a failure that comes later", async () => {
    const end = Promise.withResolvers<never>();
    const { ask, asked } = await controlStage({ reprovision: () => end.promise });
    expect(await ask({ do: "reprovision", wait: false })).toEqual({ accepted: true });
    expect(asked).toEqual(["reprovision"]);
    end.reject(new MooringError("ERR_DNS", "cannot resolve"));
  });

  it("gets the daemon's failure as if it were its own", async () => {
    const failure = new MooringError("ERR_THROTTLED", "the service is busy", {
      ...{ retryAfterMs: 7000, serviceErrorCode: 429001, hint: "wait a while" },
      cause: new MooringError("ERR_PROTOCOL", "innermost"),
    });
    const { ask } = await controlStage({ rollBack: () => Promise.reject(failure) });
    const error = await thrownBy(() => ask({ do: "rollback" }));
    expect(error).toMatchObject({
      code: "ERR_THROTTLED",
      message: "the service is busy: innermost",
      hint: "wait a while",
      details: { retryAfterMs: 7000, serviceErrorCode: 429001 },
    });
  });

  it("gets the failures of outputs as errors again", async () => {
    const error = new MooringError("ERR_OUTPUT", "cannot write", { path: "/x" });
    const outputs = [{ path: "/x", status: "failed" as const, error }];
    const { ask } = await controlStage({ provision: async () => ({ ...aProvisioned, outputs }) });
    expect(await ask({ do: "provision", wait: true })).toMatchObject({ outputs: [{ path: "/x", error }] });
  });

  it("is told that there is none where nobody listens", async () => {
    const options = { stateDirectory: "/", clock: systemClock, signal: new AbortController().signal };
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "file"), "");
    for (const name of ["nothing", "file", "file/below"])
      expect(await askDaemon(join(directory, name), { do: "status" }, options)).toBe("no daemon");
  });

  it("does not reach the daemon of another gateway's state", async () => {
    const { ask, asked } = await controlStage();
    expect(await ask({ do: "rollback" }, { stateDirectory: temporaryDirectory() })).toBe("no daemon");
    expect(asked).toEqual([]);
  });

  it("stops waiting when it is stopped", async () => {
    const stop = new AbortController();
    const { ask } = await controlStage({ usable: aborted });
    const waiting = thrownBy(() => ask({ do: "wait" }, { signal: stop.signal }));
    stop.abort(new MooringError("ERR_CANCELLED", "stopped by SIGINT"));
    expect(await waiting).toMatchObject({ code: "ERR_CANCELLED", message: "stopped by SIGINT" });
  });

  it("says so when the daemon dies in the middle, and when it hangs", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "control.sock");
    const child = await started(`
      import { serveControl } from ${source("agent/control/server.ts")};
      import { systemClock } from ${source("system/clock.ts")};
      import { silentLog } from ${source("system/log.ts")};
      await serveControl(
        { reprovision: () => new Promise(() => process.kill(process.pid, "SIGKILL")), events: { subscribe: () => () => {} } },
        { path: ${JSON.stringify(path)}, stateDirectory: () => ${JSON.stringify(directory)}, clock: systemClock, log: silentLog, signal: new AbortController().signal },
      );
      console.log("ready");`);
    const options = { stateDirectory: directory, clock: systemClock, signal: new AbortController().signal };
    const ask = () => askDaemon(path, { do: "reprovision", wait: true }, options);
    const error = await thrownBy(ask);
    expect(error).toMatchObject({ code: "ERR_DAEMON_LOST", exitCode: 75 });
    expect(error.message).toContain(`process ${child.pid}`);
    // Its socket file is still there, and nobody behind it.
    await ended(child);
    expect(existsSync(path)).toBe(true);
    expect(await ask()).toBe("no daemon");
  });

  it("asks the next daemon when one leaves before it has said anything, but not for ever", async () => {
    const path = join(temporaryDirectory(), "s");
    const options = { stateDirectory: "/", clock: systemClock, signal: new AbortController().signal };
    let connections = 0;
    const leaving = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => leaving.listen(path, resolve));
    const ask = () => askDaemon(path, { do: "status" }, options);
    expect(await thrownBy(ask)).toMatchObject({ code: "ERR_DAEMON_LOST" });
    expect(connections).toBe(4);
    leaving.once("connection", (socket) => {
      socket.destroy();
      leaving.removeAllListeners("connection");
      leaving.on("connection", (next) => {
        next.write(`{"mooring":1,"stateDirectory":"/"}\n{"do`);
        next.write(`ne":{"fine":true}}\n`);
      });
    });
    expect(await ask()).toEqual({ fine: true });
    leaving.close();
  });

  it.each([
    ["no JSON", "hello\n"],
    ["an array", "[]\n"],
    ["another protocol", '{"mooring":2,"stateDirectory":"/"}\n'],
    ["an error that it does not know", '{"error":{"code":"ERR_NEW","message":"from the future"}}\n'],
  ])("says so when the other side speaks %s", async (_what, line) => {
    const path = join(temporaryDirectory(), "s");
    const strange = createServer((socket) => socket.end(line));
    await new Promise<void>((resolve) => strange.listen(path, resolve));
    const options = { stateDirectory: "/", clock: systemClock, signal: new AbortController().signal };
    const error = await thrownBy(() => askDaemon(path, { do: "status" }, options));
    expect(error).toMatchObject({ code: "ERR_CONTROL_PROTOCOL", exitCode: 65 });
    strange.close();
  });

  it("gives up on a daemon that hangs", async () => {
    const path = join(temporaryDirectory(), "s");
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(path, resolve));
    const options = { stateDirectory: "/", clock: virtualClock(), signal: new AbortController().signal };
    const error = await thrownBy(() => askDaemon(path, { do: "status" }, options));
    expect(error).toMatchObject({ code: "ERR_DAEMON_LOST" });
    silent.close();
  });
});

describe("permission", () => {
  const strangers = 12_345;

  it.each([[0], [process.geteuid?.() ?? 0]])(
    "user %i, root or the daemon's own, may do everything",
    async (uid) => {
      const { ask, log } = await controlStage({}, { addon: asUser(uid) });
      expect(await ask({ do: "reprovision", wait: true })).toEqual(aProvisioned);
      expect(await ask({ do: "rollback" })).toEqual(aProvisioned);
      expect(log.events.filter(({ event }) => event === "control.asked")).toMatchObject([
        { fields: { request: "reprovision", uid } },
        { fields: { request: "rollback", uid } },
      ]);
    },
  );

  it.each([[strangers], [undefined]])("user %s may look and wait, and nothing else", async (uid) => {
    const { ask, asked } = await controlStage({}, { addon: asUser(uid) });
    expect(await ask({ do: "status" })).toEqual(aStatus);
    expect(await ask({ do: "wait" })).toEqual(aStatus);
    for (const request of [
      { do: "rollback" },
      { do: "provision", wait: false },
      { do: "reprovision", wait: true },
    ] as const)
      expect(await thrownBy(() => ask(request))).toMatchObject({ code: "ERR_CONTROL_PERMISSION" });
    expect(asked).toEqual(["status", "usable"]);
  });

  it("is a matter of the socket's mode alone where peers cannot be known", async () => {
    const { ask } = await controlStage({}, { addon: () => undefined });
    expect(await ask({ do: "rollback" })).toEqual(aProvisioned);
  });
});

describe("a rude client", () => {
  it.each([
    ["", "none that this daemon knows"],
    ["{", "none that this daemon knows"],
    ["[]", "none that this daemon knows"],
    ['{"do":"format"}', "none that this daemon knows"],
    ['{"do":"constructor"}', "none that this daemon knows"],
    ["\u0000\u001b[2J", "none that this daemon knows"],
  ])("that says %j is told so, and the daemon does nothing", async (line, words) => {
    const { connect, asked } = await controlStage();
    const client = await connect();
    client.socket.write(`${line}\n`);
    const answer = await client.next();
    expect(answer).toMatchObject({ error: { code: "ERR_CONTROL_PROTOCOL", exitCode: 65 } });
    expect(JSON.stringify(answer)).toContain(words);
    expect(await client.next()).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it("is dropped when its line has no end, however it is cut into pieces", async () => {
    const { connect, server, asked } = await controlStage();
    const client = await connect();
    for (let sent = 0; sent < 5000; sent += 1000) client.socket.write("x".repeat(1000));
    await closed(client.socket);
    expect(server.connections()).toBe(0);
    expect(asked).toEqual([]);
  });

  it("is dropped when it goes on talking", async () => {
    const { connect, server } = await controlStage({ usable: aborted });
    const client = await connect();
    client.socket.write('{"do":"wait"}\n{"do":"status"}\n');
    await closed(client.socket);
    expect(server.connections()).toBe(0);
  });

  it("is dropped when it says nothing for too long", async () => {
    const { path, server } = await controlStage({}, { clock: virtualClock() });
    const socket = connect(path);
    await closed(socket.resume());
    expect(server.connections()).toBe(0);
  });

  it("is dropped when it does not read what it asked for", async () => {
    const ended = Promise.withResolvers<typeof aProvisioned>();
    const stage = await controlStage({ reprovision: () => ended.promise });
    const client = await stage.connect();
    client.socket.write('{"do":"reprovision","wait":true}\n');
    await soon(() => stage.asked).toEqual(["reprovision"]);
    client.socket.pause();
    const because = "x".repeat(100_000);
    for (let count = 0; count < 40 && stage.server.connections() > 0; count += 1) {
      stage.daemonLog.info("provisioning.started", { because });
      await new Promise(setImmediate);
    }
    expect(stage.server.connections()).toBe(0);
    ended.resolve(aProvisioned);
  });

  it("may say anything, in any pieces, and costs nobody else an answer", async () => {
    const { path, server, asked, ask } = await controlStage();
    const pieces = array(uint8Array({ maxLength: 40 }), { maxLength: 5 });
    const says = (all: Uint8Array[]): Promise<void> => {
      const socket = connect(path);
      socket.on("error", () => {});
      for (const piece of all) socket.write(piece);
      socket.end();
      return closed(socket.resume());
    };
    await assert(asyncProperty(pieces, says), { numRuns: 200 });
    await soon(() => server.connections()).toBe(0);
    expect(asked).toEqual([]);
    expect(await ask({ do: "status" })).toEqual(aStatus);
  });

  it("may send a request byte by byte, and end its half of the connection", async () => {
    const { connect } = await controlStage();
    const client = await connect();
    for (const byte of '{"do":"status"}\n') client.socket.write(byte);
    client.socket.end();
    expect(await client.next()).toEqual({ done: aStatus });
  });
});

describe("the daemon", () => {
  it("greets with who it is", async () => {
    const { connect, stateDirectory } = await controlStage();
    const { greeting } = await connect();
    expect(greeting).toEqual({
      ...{ mooring: 1, pid: process.pid, stateDirectory },
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
  });

  it("ends a client's wait when the client is gone, and nothing else", async () => {
    const gone = Promise.withResolvers<unknown>();
    const attempt = Promise.withResolvers<typeof aProvisioned>();
    const { connect, server, asked, ask } = await controlStage({
      usable: ({ signal }) => aborted({ signal }).catch((reason) => gone.resolve(reason) as never),
      reprovision: () => attempt.promise,
    });
    const waiter = await connect();
    waiter.socket.write('{"do":"wait"}\n');
    const follower = await connect();
    follower.socket.write('{"do":"reprovision","wait":true}\n');
    await soon(() => asked).toHaveLength(2);
    waiter.socket.destroy();
    follower.socket.destroy();
    expect(await gone.promise).toMatchObject({ code: "ERR_CANCELLED" });
    await soon(() => server.connections()).toBe(0);
    attempt.resolve(aProvisioned);
    expect(await ask({ do: "status" })).toEqual(aStatus);
  });

  it("answers 200 clients at once", async () => {
    const { ask } = await controlStage();
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask({ do: "status" })));
    expect(answers).toEqual(Array.from({ length: 200 }, () => aStatus));
  });

  it("turns away more than it takes, and keeps room for who may change things", async () => {
    let uid = 1000;
    const addon = () => ({ peer: () => ({ pid: 1, uid, gid: 1 }) });
    const { connect, path, ask, server } = await controlStage(
      {},
      { addon, limits: { clients: 3, reserved: 1 } },
    );
    const held = [await connect(), await connect()];
    const refused = await rawClient(path);
    expect(refused.greeting).toMatchObject({ error: { code: "ERR_CONTROL_BUSY", exitCode: 75 } });
    expect(await thrownBy(() => ask({ do: "status" }))).toMatchObject({ code: "ERR_CONTROL_BUSY" });
    uid = 0;
    expect(await ask({ do: "rollback" })).toEqual(aProvisioned);
    uid = 1000;
    held[0]?.socket.destroy();
    await soon(() => server.connections()).toBe(1);
    expect(await ask({ do: "status" })).toEqual(aStatus);
  });

  it("tells who waits that it is stopping, whatever it is at, and is gone", async () => {
    const { ask, connect, server, path, asked } = await controlStage(
      { usable: aborted, reprovision: never, rollBack: never },
      {
        limits: { farewellMs: 10 },
      },
    );
    const waiting = thrownBy(() => ask({ do: "wait" }));
    const following = thrownBy(() => ask({ do: "reprovision", wait: true }));
    const returning = thrownBy(() => ask({ do: "rollback" }));
    const { socket } = await connect();
    await soon(() => asked).toHaveLength(3);
    await server.close();
    for (const one of [waiting, following, returning])
      expect(await one).toMatchObject({ code: "ERR_CANCELLED", message: "the daemon is stopping" });
    await closed(socket.resume());
    expect(existsSync(path)).toBe(false);
  });

  it("closes with its signal", async () => {
    const { stop, path, connect } = await controlStage();
    const { socket } = await connect();
    stop.abort();
    await closed(socket.resume());
    await soon(() => existsSync(path)).toBe(false);
  });
});

describe("the socket", () => {
  it("is there with its mode and group, whatever the umask is, in a directory made for it", async () => {
    const before = process.umask(0o007);
    const gid = process.getegid?.() ?? 0;
    const { path } = await controlStage({}, { group: String(gid) });
    process.umask(before);
    expect(mode(path)).toBe("660");
    expect(statSync(path).gid).toBe(gid);
    expect(readdirSync(join(path, ".."))).toEqual(["control.sock"]);
  });

  it("is not taken from a daemon that lives", async () => {
    const { path, ask } = await controlStage();
    const error = await thrownBy(() => controlStage({}, { path }));
    expect(error).toMatchObject({ code: "ERR_DAEMON_RUNNING", exitCode: 75 });
    expect(await ask({ do: "status" })).toEqual(aStatus);
  });

  it("is one daemon's, of those that start at once over a dead one's", async () => {
    const path = join(temporaryDirectory(), "control.sock");
    await leaveStale(path);
    const starts = await Promise.allSettled(Array.from({ length: 8 }, () => controlStage({}, { path })));
    const won = starts.filter(({ status }) => status === "fulfilled");
    expect(won).toHaveLength(1);
    for (const start of starts)
      if (start.status === "rejected") expect(start.reason.code).toBe("ERR_DAEMON_RUNNING");
    expect(await (await rawClient(path)).greeting).toMatchObject({ mooring: 1 });
  });

  it("replaces what a killed daemon left", async () => {
    const path = join(temporaryDirectory(), "control.sock");
    await leaveStale(path);
    const { ask } = await controlStage({}, { path });
    expect(await ask({ do: "status" })).toEqual(aStatus);
  });

  it.each([
    ["a file", "something else than a socket", (path: string) => writeFileSync(path, "mine")],
    ["a directory", "something else than a socket", (path: string) => mkdirSync(path)],
  ])("does not replace %s", async (_what, words, make) => {
    const path = join(temporaryDirectory(), "control.sock");
    make(path);
    const error = await thrownBy(() => controlStage({}, { path }));
    expect(error).toMatchObject({ code: "ERR_CONTROL_SOCKET", exitCode: 73 });
    expect(error.message).toContain(words);
    expect(existsSync(path)).toBe(true);
  });

  it.each([
    ["a group that is not there", { group: "no-such-group" }, "there is no group no-such-group"],
    ["a directory that cannot be", { path: "/dev/null/control.sock" }, "/dev/null"],
  ])("cannot be with %s", async (_what, options, words) => {
    const error = await thrownBy(() => controlStage({}, options));
    expect(error).toMatchObject({ code: "ERR_CONTROL_SOCKET" });
    expect(error.message).toContain(words);
  });
});

/** A socket file whose process was killed. */
async function leaveStale(path: string): Promise<void> {
  const child = await started(
    `import { createServer } from "node:net"; createServer().listen(${JSON.stringify(path)}, () => console.log());`,
  );
  child.kill("SIGKILL");
  await ended(child);
  expect(existsSync(path)).toBe(true);
}
