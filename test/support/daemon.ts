// `mooring run` as a process of its own, as systemd would start it: what it logs, and a way to ask it.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { askDaemon } from "../../src/agent/control/client.ts";
import type { Answers, Request } from "../../src/agent/control/wire.ts";
import { systemClock } from "../../src/system/clock.ts";
import type { Gateway } from "./gateway.ts";
import { type Run, startMooring } from "./mooring.ts";

export interface RunningDaemon extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly ended: Promise<Run>;
  /** What it logged, one object a line. */
  readonly events: readonly Record<string, unknown>[];
  ask<Asked extends Request>(request: Asked): Promise<Answers[Asked["do"]] | "no daemon">;
  /** Resolves when it has logged this event so many times. */
  logged(event: string, times?: number): Promise<Record<string, unknown>>;
  /** Resolves when it answers on its socket. */
  answers(): Promise<Answers["status"]>;
  /** Resolves when its status is like this: it listens, and logs, before it looks. */
  shows(status: object): Promise<void>;
}

/** TOML for the daemon of a gateway; behind everything else. */
export const daemonTable = (gateway: Gateway, more = ""): string =>
  `[daemon]\ncontrol_socket = "${gateway.file("control.sock")}"\n${more}`;

export function startDaemon(
  gateway: Gateway,
  options: { env?: Readonly<Record<string, string>>; under?: readonly string[] } = {},
): RunningDaemon {
  const { child, ended } = startMooring(["run", "--config", gateway.configFile, "--verbose"], {
    ...options,
    env: { MOORING_LOG: "json", ...options.env },
    timeoutMs: 110_000,
  });
  const events: Record<string, unknown>[] = [];
  let rest = "";
  child.stderr?.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("{")) events.push(JSON.parse(line));
  });
  const daemon: RunningDaemon = {
    child,
    ended,
    events,
    ask: (request) =>
      askDaemon(gateway.file("control.sock"), request, {
        stateDirectory: gateway.stateDirectory,
        clock: systemClock,
        signal: AbortSignal.timeout(60_000),
      }),
    logged: async (event, times = 1) => {
      const found = (): Record<string, unknown>[] => events.filter((one) => one["event"] === event);
      // A clock that was set is noticed within a minute.
      await expect
        .poll(() => found().length, { timeout: 90_000, message: event })
        .toBeGreaterThanOrEqual(times);
      return found()[times - 1] ?? {};
    },
    answers: async () => {
      for (;;) {
        const status = await daemon.ask({ do: "status" });
        if (status !== "no daemon") return status as Answers["status"];
        if (child.exitCode !== null) throw new Error(`the daemon ended with ${child.exitCode}`);
        await pause(20);
      }
    },
    shows: (status) => expect.poll(() => daemon.answers()).toMatchObject(status),
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "close");
      }
    },
  };
  return daemon;
}
