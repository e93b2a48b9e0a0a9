// What systemd and this process tell one another (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)). Without a
// service manager, or without the add-on that speaks to it, every word goes nowhere and nothing is expected of us.

import type { Log } from "./log.ts";
import { type SystemAddon, systemAddon } from "./system-addon.ts";

export interface ServiceManager {
  /** What it set up is up: units that wait for this one may start. */
  ready(status: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The configuration is being read again; `ready` ends it. */
  reloading(): void;
  stopping(): void;
  /** Tells the service manager, as often as it wants to hear it, that the event loop turns; stops when disposed of. */
  feedWatchdog(): Disposable;
  /** Descriptors of the sockets that were opened for us, from 3 on. */
  readonly listenFds: readonly number[];
}

const firstListenFd = 3;

/**
 * Takes over what the service manager put into `env`, and removes it there: what we start is not the service.
 * `addon` is loaded when there is a socket to notify.
 */
export function serviceManager({
  env = process.env,
  log,
  addon = systemAddon,
}: {
  readonly env?: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly addon?: (tools: { log: Log }) => Pick<SystemAddon, "notify"> | undefined;
}): ServiceManager {
  const take = (name: string): string | undefined => {
    const value = env[name];
    delete env[name];
    return value;
  };
  const forUs = (pid: string | undefined): boolean => pid === undefined || Number(pid) === process.pid;

  const socket = take("NOTIFY_SOCKET");
  const watchdogUsec = [take("WATCHDOG_PID"), take("WATCHDOG_USEC")] as const;
  const listen = [take("LISTEN_PID"), take("LISTEN_FDS"), take("LISTEN_FDNAMES")] as const;

  const native = socket ? addon({ log }) : undefined;
  // It would wait for READY, kill us, and start us again, and nothing would tell why.
  if (socket && !native)
    log.warn("service-manager.mute", { path: socket, error: "mooring-system.node cannot be loaded" });
  const notify = (...lines: readonly string[]): void => {
    if (!socket || !native) return;
    const failure = native.notify(socket, lines.join("\n"));
    if (failure !== 0) log.debug("service-manager.unreachable", { errno: failure, path: socket });
  };
  const statusLine = (text: string): string => `STATUS=${text.replace(/\s+/g, " ").slice(0, 500)}`;

  return {
    ready: (text) => notify("READY=1", statusLine(text)),
    status: (text) => notify(statusLine(text)),
    // Type=notify-reload tells by the time which request to reload this answers: CLOCK_MONOTONIC in microseconds.
    reloading: () => notify("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => notify("STOPPING=1"),
    feedWatchdog: () => {
      const [pid, usec] = watchdogUsec;
      const everyMs = forUs(pid) ? Number(usec) / 2000 : Number.NaN;
      const timer = everyMs > 0 ? setInterval(() => notify("WATCHDOG=1"), everyMs).unref() : undefined;
      return { [Symbol.dispose]: () => clearInterval(timer) };
    },
    listenFds: Array.from(
      { length: listen[0] !== undefined && forUs(listen[0]) ? Number(listen[1] ?? 0) : 0 },
      (_, index) => firstListenFd + index,
    ),
  };
}
