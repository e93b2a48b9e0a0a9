import { EventEmitter, getEventListeners } from "node:events";
import { expect, it } from "vitest";
import type { Status } from "../../src/agent/status.ts";
import { untilUsable } from "../../src/agent/usable.ts";

const statusWith = (yes: boolean): Status => ({ usable: { yes } }) as Status;

/** Somebody who waits, beside a daemon that may be changed. */
function waiting() {
  const changes = new EventEmitter();
  const stop = new AbortController();
  let isUsable = false;
  let looks = 0;
  const look = async (): Promise<Status> => {
    looks++;
    return statusWith(isUsable);
  };
  return {
    stop,
    ended: untilUsable(look, changes, { signal: stop.signal }),
    change: async (yes: boolean): Promise<void> => {
      isUsable = yes;
      changes.emit("change");
      await new Promise((resolve) => setImmediate(resolve));
    },
    looks: () => looks,
    listeners: () => [changes.listenerCount("change"), getEventListeners(stop.signal, "abort").length],
  };
}

it("looks at every change until there is an identity to use", async () => {
  const { ended, change, looks, listeners } = waiting();
  for (let count = 0; count < 1000; count++) await change(false);
  expect(looks()).toBe(1001);
  expect(listeners()).toEqual([1, 1]);
  await change(true);
  expect(await ended).toEqual(statusWith(true));
  expect(listeners()).toEqual([0, 0]);
});

it("ends with the signal's reason, and leaves nothing behind", async () => {
  const { stop, ended, listeners } = waiting();
  stop.abort(new RangeError("gone"));
  await expect(ended).rejects.toThrow(RangeError);
  expect(listeners()).toEqual([0, 0]);
});
