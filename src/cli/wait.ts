// `mooring wait`: for units and scripts that need the assignment. Asks the daemon, or watches the disk where none runs;
// a daemon that comes or goes meanwhile makes no difference.

import { type FSWatcher, watch } from "node:fs";
import type { Command } from "commander";
import { safeParse } from "valibot";
import type { Tools } from "../agent/connect.ts";
import type { Status } from "../agent/status.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { duration } from "../config/values.ts";
import { asMooringError, causeText, MooringError } from "../errors.ts";
import { withDeadline } from "../system/deadline.ts";
import { silentLog } from "../system/log.ts";
import { viaDaemon } from "./daemon.ts";
import { type CommonOptions, commandTools, withCommonOptions } from "./options.ts";
import { paint, printJson, printLine } from "./output.ts";

export function addWaitCommand(program: Command): void {
  withCommonOptions(program.command("wait"))
    .description("block until there is an identity to use")
    .option("--timeout <time>", 'give up after this time, such as "90s"; "infinity" never does', "5min")
    .addHelpText(
      "after",
      `
Exits 0 once an assignment is there and usable, 75 when the time is over. It asks for nothing itself: the
daemon or \`mooring provision\` have to bring it. "infinity" also waits for a configuration to be mended.

A unit that needs the hub is best part of mooring-assigned.target, which waits for nobody. Elsewhere it can say:
  ExecStartPre=/usr/bin/mooring wait --timeout 10min
  TimeoutStartSec=11min
  SupplementaryGroups=mooring          # unless it runs as root: who may ask the agent`,
    )
    .action(async (options: CommonOptions & { timeout: string }) => {
      const limitMs = timeoutMs(options.timeout);
      const tools = commandTools(options);
      const config =
        limitMs === undefined ? await goodConfig(options.config, tools) : loadConfig(options.config);
      const status = await within(limitMs, options.timeout, tools, (signal) =>
        waitForIdentity(config, { ...tools, signal }),
      );
      if (options.json) printJson(status);
      else {
        const { deviceId, assignedHub } = status.usable.assignment ?? {};
        printLine(`${paint("green", "Ready:")} ${deviceId} at ${assignedHub}`);
      }
    });
}

/** Who waits for ever waits for somebody who mends the configuration, too. What is wrong with it is said once. */
async function goodConfig(file: string, { clock, log, signal }: Tools): Promise<Config> {
  for (let said = false; ; said = true) {
    try {
      return loadConfig(file);
    } catch (error) {
      const { code, hint } = asMooringError(error);
      if (!said) log.warn("config.refused", { code, error: causeText(error), hint });
    }
    await clock.sleep(lookEveryMs, { signal });
  }
}

/** Undefined for no limit. Throws ERR_USAGE. */
function timeoutMs(text: string): number | undefined {
  if (text === "infinity") return undefined;
  const { success, output, issues } = safeParse(duration, /^\d+$/.test(text) ? Number(text) : text);
  if (success) return output;
  throw new MooringError("ERR_USAGE", `--timeout ${issues[0].message}`);
}

async function within<Result>(
  limitMs: number | undefined,
  limit: string,
  tools: Tools,
  act: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  if (limitMs === undefined) return act(tools.signal);
  try {
    return await withDeadline(limitMs, tools, ({ signal }) => act(signal));
  } catch (error) {
    if (!(error instanceof MooringError && error.code === "ERR_DEADLINE")) throw error;
    throw new MooringError("ERR_DEADLINE", `there was no identity to use within ${limit}`, {
      hint: "see what is in the way with `mooring status`",
    });
  }
}

async function waitForIdentity(config: Config, tools: Tools): Promise<Status> {
  const { isUsable, readStatus } = await import("../agent/status.ts");
  tools.log.debug("wait.started");
  let pauseMs = lookEveryMs;
  let isDaemonAwaited = false;
  for (let log = tools.log; ; log = silentLog) {
    const told = await answerOf(config, tools);
    if (typeof told === "object") return told;
    isDaemonAwaited ||= told === "lost";
    // What is wrong with the disk is said once.
    try {
      if (isUsable(config, { log })) return await readStatus(config, tools);
    } catch (error) {
      // Who may ask the daemon need not be able to read its state: it will come back.
      if (!isDaemonAwaited || asMooringError(error).code !== "ERR_PERMISSION") throw error;
    }
    await somethingChanged(config.state.directory, pauseMs, tools);
    if (told === "lost") pauseMs = Math.min(2 * pauseMs, longestPauseMs);
  }
}

/** A daemon that stops or is busy is waited for, like one that has not started. */
async function answerOf(config: Config, tools: Tools): Promise<Status | "no daemon" | "lost"> {
  try {
    return await viaDaemon(config, { do: "wait" }, tools);
  } catch (error) {
    if (tools.signal.aborted || !(error instanceof MooringError && passing.has(error.code))) throw error;
    tools.log.debug("wait.daemon-gone", { code: error.code });
    return "lost";
  }
}

const passing: ReadonlySet<string> = new Set(["ERR_DAEMON_LOST", "ERR_CANCELLED", "ERR_CONTROL_BUSY"]);

/** Also without a sign of it: the state directory may not be there yet, and the daemon lives elsewhere. */
const lookEveryMs = 1000;
/** Where asking starts a daemon that then ends, it is asked less and less often. */
const longestPauseMs = 30_000;

async function somethingChanged(directory: string, forMs: number, { clock, signal }: Tools): Promise<void> {
  const changed = new AbortController();
  const watcher = watchIfThere(directory, () => changed.abort());
  try {
    await clock.sleep(forMs, { signal: AbortSignal.any([signal, changed.signal]) }).catch(() => {});
    signal.throwIfAborted();
  } finally {
    watcher?.close();
  }
}

function watchIfThere(directory: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(directory, onChange).on("error", () => {});
  } catch {
    return undefined;
  }
}
