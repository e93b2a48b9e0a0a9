// The daemon's clients: where one answers on the control socket, it is asked; two provisionings never run at once.

import { existsSync } from "node:fs";
import type { Tools } from "../agent/connect.ts";
import type { Answers, Request } from "../agent/control/wire.ts";
import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import { becomeOwner } from "../system/owner.ts";

/**
 * The daemon's answer; "no daemon" when there is none for this configuration's state, on which the caller then works:
 * root as its owner. What happens meanwhile goes to the log, as if it happened here.
 */
export async function viaDaemon<Asked extends Request>(
  config: Config,
  request: Asked,
  tools: Tools,
): Promise<Answers[Asked["do"]] | "no daemon"> {
  const answer = await asked(config, request, tools);
  if (answer === "no daemon") asOwner(config);
  return answer;
}

/** Whoever works on the state itself does so as the agent: root would leave what that cannot read, and read what it may not. */
export const asOwner = ({ state, outputs }: Config): void =>
  becomeOwner(state.directory, { alsoIn: outputs.flatMap(({ group }) => group ?? []) });

async function asked<Asked extends Request>(
  { daemon, state }: Config,
  request: Asked,
  { clock, log, signal }: Tools,
): Promise<Answers[Asked["do"]] | "no daemon"> {
  // Without a socket nothing more is loaded: at most boots there is no daemon yet.
  if (!existsSync(daemon.controlSocket)) return "no daemon";
  const { askDaemon } = await import("../agent/control/client.ts");
  try {
    return await askDaemon(daemon.controlSocket, request, {
      stateDirectory: state.directory,
      clock,
      signal,
      onEvent: ({ level, event, fields }) => saidByTheAnswer.has(event) || log[level]?.(event, fields),
    });
  } catch (error) {
    if (!(signal.reason instanceof MooringError && signal.reason.code === "ERR_CANCELLED")) throw error;
    throw new MooringError("ERR_CANCELLED", "stopped waiting for the daemon, which goes on", {
      hint: "see how it goes with `mooring status`",
    });
  }
}

/** The daemon's log tells how an attempt ends; here the answer does. */
const saidByTheAnswer: ReadonlySet<string> = new Set(["provisioning.failed", "rollback.failed"]);
