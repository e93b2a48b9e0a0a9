import { describe, expect, it, vi } from "vitest";
import { type ServiceManager, serviceManager } from "../../src/system/service-manager.ts";
import { recordingLog } from "../support/recording-log.ts";

/** A manager whose datagrams are kept, and what is left of the environment. */
function managed(
  given: Record<string, string>,
  failure = 0,
): ServiceManager & { sent: string[]; env: NodeJS.ProcessEnv; log: ReturnType<typeof recordingLog> } {
  const env = { ...given };
  const sent: string[] = [];
  const log = recordingLog();
  const notify = (path: string, text: string): number => {
    expect(path).toBe("@manager");
    sent.push(text);
    return failure;
  };
  return { ...serviceManager({ env, log, addon: () => ({ notify }) }), sent, env, log };
}

const here = { NOTIFY_SOCKET: "@manager" };

describe("the service manager", () => {
  it("hears that we are ready, what we are at, that we reload, and that we stop", () => {
    const manager = managed(here);
    const before = process.hrtime.bigint() / 1000n;
    manager.ready("keeping");
    manager.status("two\nlines of\ttext");
    manager.reloading();
    manager.stopping();
    const [ready, status, reloading, stopping] = manager.sent;
    expect([ready, status, stopping]).toEqual([
      "READY=1\nSTATUS=keeping",
      "STATUS=two lines of text",
      "STOPPING=1",
    ]);
    const usec = BigInt(/^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading ?? "")?.[1] ?? 0);
    expect(usec >= before && usec <= process.hrtime.bigint() / 1000n).toBe(true);
  });

  it("hears from us at half the interval of its watchdog, until we stop", () => {
    vi.useFakeTimers();
    try {
      const manager = managed({ ...here, WATCHDOG_USEC: "3000000", WATCHDOG_PID: String(process.pid) });
      const feeding = manager.feedWatchdog();
      vi.advanceTimersByTime(1499);
      expect(manager.sent).toEqual([]);
      vi.advanceTimersByTime(3001);
      expect(manager.sent).toEqual(["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
      feeding[Symbol.dispose]();
      vi.advanceTimersByTime(60_000);
      expect(manager.sent).toHaveLength(3);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    [{}],
    [{ WATCHDOG_USEC: "3000000", WATCHDOG_PID: "1" }],
    [{ WATCHDOG_USEC: "nonsense" }],
    [{ WATCHDOG_USEC: "0" }],
  ])("with %j wants no feeding", (env) => {
    vi.useFakeTimers();
    try {
      const manager = managed({ ...here, ...env });
      using _feeding = manager.feedWatchdog();
      vi.advanceTimersByTime(60_000);
      expect(manager.sent).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    [{ LISTEN_FDS: "2", LISTEN_PID: String(process.pid) }, [3, 4]],
    [{ LISTEN_FDS: "2", LISTEN_PID: "1" }, []],
    [{ LISTEN_FDS: "2" }, []],
    [{ LISTEN_FDS: "many", LISTEN_PID: String(process.pid) }, []],
    [{}, []],
  ])("with %j has opened the sockets %j for us", (env: Record<string, string>, fds) => {
    expect(managed(env).listenFds).toEqual(fds);
  });

  it("is no matter of the programs that we start", () => {
    const names = [
      "NOTIFY_SOCKET",
      "WATCHDOG_USEC",
      "WATCHDOG_PID",
      "LISTEN_FDS",
      "LISTEN_PID",
      "LISTEN_FDNAMES",
    ];
    const { env } = managed({ ...Object.fromEntries(names.map((name) => [name, "@manager"])), PATH: "/bin" });
    expect(env).toEqual({ PATH: "/bin" });
  });

  it("is not missed where there is none, and nothing is loaded for it", () => {
    const addon = vi.fn();
    const manager = serviceManager({ env: {}, log: recordingLog(), addon });
    manager.ready("");
    manager.stopping();
    expect(addon).not.toHaveBeenCalled();
    expect(manager.listenFds).toEqual([]);
  });

  it("that cannot be reached costs a debug line and nothing else", () => {
    const unreachable = managed(here, 111);
    unreachable.ready("");
    expect(unreachable.log.events).toMatchObject([
      { level: "debug", event: "service-manager.unreachable", fields: { errno: 111 } },
    ]);
  });

  it("that waits for us in vain is told of, because it says nothing itself", () => {
    const log = recordingLog();
    serviceManager({ env: { ...here }, log, addon: () => undefined }).ready("");
    expect(log.events).toMatchObject([{ level: "warn", event: "service-manager.mute" }]);
    const alone = recordingLog();
    serviceManager({ env: {}, log: alone, addon: () => undefined }).ready("");
    expect(alone.events).toEqual([]); // negative control
  });
});
