// What the daemon has published: which generation the outputs tell of, and what is wrong with one of them.

import { type Generation, loadCurrent } from "../assignment/generations.ts";
import type { Config } from "../config/schema.ts";
import { announceAgain, isOut } from "./announcement.ts";
import type { Tools } from "./connect.ts";
import type { Reason } from "./decide.ts";
import type { Provisioned } from "./provision.ts";
import { serve, withdraw } from "./serve.ts";
import type { Troubles } from "./troubles.ts";

export interface Publication {
  /** Whether the outputs tell of it already. */
  tellsOf(current: Generation | undefined): boolean;
  /** Whether there is an output to read it from, too. */
  isOutFor(current: Generation): boolean;
  /** Publishes what there is, without network or TPM. Undefined where that is nothing, and after a failure. */
  serve(config: Config): Promise<Provisioned | undefined>;
  /** Takes it back. A failure stands in the way of the look. */
  withdraw(config: Config, current: Generation, reason: Reason): Promise<void>;
  /** What could not be published may be published now. */
  tryAgain(): void;
}

export function createPublication(tools: Tools, troubles: Troubles): Publication {
  let number: number | undefined;
  let isOutNow = false;
  /** It has to be published anew, although it is out. */
  let isDue = false;
  const note = (
    { outputs }: Config,
    current: Generation | undefined,
    done: Provisioned | undefined,
  ): void => {
    number = current?.number;
    isDue = false;
    const results = done?.outputs ?? [];
    // Beside them stands an announcement that failed: programs can read the assignment without.
    isOutNow = isOut(results.filter(({ path }) => outputs.some((output) => output.path === path)));
    // The log has it already.
    troubles.stand("outputs", results.find(({ error }) => error)?.error);
  };
  return {
    tellsOf: (current) => !isDue && current?.number === number,
    isOutFor: (current) => current.number === number && isOutNow,
    serve: async (config) => {
      try {
        const current = loadCurrent(config.state.directory, tools);
        const served = current && (await serve(config, current, tools));
        note(config, current, served);
        if (!current) announceAgain(config, tools.log);
        return served;
      } catch (error) {
        isDue = true;
        troubles.stand("outputs", troubles.tell("assignment.unserved", error));
        announceAgain(config, tools.log);
        return undefined;
      }
    },
    withdraw: async (config, current, reason) => {
      try {
        note(config, current, await withdraw(config, current, reason, tools));
      } catch (error) {
        troubles.stand("look", troubles.tell("assignment.not-withdrawn", error));
      }
    },
    tryAgain: () => {
      isDue ||= troubles.at("outputs") !== undefined;
    },
  };
}
