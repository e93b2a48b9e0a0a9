// What the daemon works under: the configuration in force, the memory of attempts that belongs to it, and a watch on the
// files that it names.

import type { Config } from "../config/schema.ts";
import type { Attempts } from "./attempt-history.ts";
import { type AttemptTools, openAttempts } from "./attempts.ts";
import type { Tools } from "./connect.ts";
import { watchIdentity } from "./identity-watch.ts";
import type { Troubles } from "./troubles.ts";

export interface SettingOptions extends Pick<Tools, "clock" | "log">, Pick<AttemptTools, "boot" | "random"> {
  /** Reads the configuration: at the start, and when it is asked to. Throws what loadConfig() throws. */
  readonly readConfig: () => Config;
}

/** Watches until it is disposed of. */
export interface Setting extends Disposable {
  readonly config: Config;
  readonly attempts: Attempts;
  /** Reads all of it again; a configuration that is refused leaves the old one in force, and stands in the way. */
  reload(): void;
}

/** Throws what reading the configuration throws. */
export function openSetting(
  options: SettingOptions,
  troubles: Troubles,
  onIdentityChange: () => void,
): Setting {
  const open = () => {
    const config = options.readConfig();
    return {
      config,
      attempts: openAttempts(config.state.directory, options),
      watch: watchIdentity(config, onIdentityChange, options),
    };
  };
  let inForce = open();
  const unwatch = (): void => inForce.watch[Symbol.dispose]();
  return {
    get config() {
      return inForce.config;
    },
    get attempts() {
      return inForce.attempts;
    },
    reload: () => {
      try {
        const next = open();
        unwatch();
        inForce = next;
        troubles.stand("configuration", undefined);
        options.log.info("config.read-again");
      } catch (error) {
        troubles.stand("configuration", troubles.tell("config.refused", error));
      }
    },
    [Symbol.dispose]: unwatch,
  };
}
