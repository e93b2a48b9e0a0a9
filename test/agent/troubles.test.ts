import { expect, it } from "vitest";
import { createTroubles } from "../../src/agent/troubles.ts";
import { MooringError } from "../../src/errors.ts";
import { recordingLog } from "../support/recording-log.ts";

const unreadable = new MooringError("ERR_IDENTITY_UNREADABLE", "no such key");
const blocked = new MooringError("ERR_OUTPUT", "cannot write");
const refused = new MooringError("ERR_CONFIG_INVALID", "not toml at all");

function aGateway() {
  const log = recordingLog();
  const stop = new AbortController();
  return { log, stop, troubles: createTroubles({ log, signal: stop.signal }) };
}

it("are told with their code and what a person does next", () => {
  const { log, troubles } = aGateway();
  expect(troubles.tell("assignment.unserved", blocked)).toBe(blocked);
  expect(troubles.tell("assignment.unserved", new TypeError("x"))).toMatchObject({ code: "ERR_INTERNAL" });
  const { code, hint, message: error } = blocked;
  expect(log.events[0]).toEqual({
    level: "warn",
    event: "assignment.unserved",
    fields: { code, error, hint },
  });
});

it("do not count what was cancelled, and being told to stop ends all", () => {
  const { log, stop, troubles } = aGateway();
  troubles.tell("provisioning.failed", new MooringError("ERR_CANCELLED", "told to start anew"));
  expect(log.events).toEqual([]);
  const reason = new MooringError("ERR_CANCELLED", "stopped by SIGTERM");
  stop.abort(reason);
  expect(() => troubles.tell("provisioning.failed", blocked)).toThrow(reason);
});

it("stand in the way until they are over, that of the look before the others", () => {
  const { troubles } = aGateway();
  expect(troubles.first).toBeUndefined();
  troubles.stand("configuration", refused);
  troubles.stand("outputs", blocked);
  troubles.stand("look", unreadable);
  expect(troubles.first).toBe(unreadable);
  troubles.stand("look", undefined);
  expect([troubles.first, troubles.at("configuration")]).toEqual([blocked, refused]);
  troubles.stand("outputs", undefined);
  expect(troubles.first).toBe(refused);
});
