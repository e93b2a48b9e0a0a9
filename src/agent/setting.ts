// What the daemon works under: the configuration in force, the memory of attempts that belongs to it, and watches on the
// files that it names and on the assignment.

import type { Config } from "../config/schema.ts";
import type { Attempts } from "./attempt-history.ts";
import { type AttemptTools, openAttempts } from "./attempts.ts";
import type { Tools } from "./connect.ts";
import { watchIdentity } from "./identity-watch.ts";
import { watchPromotions } from "./promotion-watch.ts";
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
  /** Looks for what a watch may have missed, such as a file system that was mounted. */
  check(): void;
}

/** Throws what reading the configuration throws. */
export function openSetting(
  options: SettingOptions,
  troubles: Troubles,
  onOccasion: (occasion: "identity-changed" | "promoted") => void,
): Setting {
  const open = () => {
    const config = options.readConfig();
    const { directory } = config.state;
    return {
      config,
      attempts: openAttempts(directory, options),
      identity: watchIdentity(config, () => onOccasion("identity-changed"), options),
      promotions: watchPromotions(directory, () => onOccasion("promoted"), options),
    };
  };
  let inForce = open();
  const unwatch = (): void => {
    inForce.identity[Symbol.dispose]();
    inForce.promotions[Symbol.dispose]();
  };
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
    check: () => {
      inForce.identity.check();
      inForce.promotions.check();
    },
    [Symbol.dispose]: unwatch,
  };
}
