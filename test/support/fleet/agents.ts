// Two kinds of devices: Mooring's own decide, pace, memory of attempts and handshake, over a model of the service; and
// the naive agent that every fleet has had once, which asks again after five seconds.

import { attemptsOn } from "../../../src/agent/attempt-history.ts";
import { decide, type Trigger } from "../../../src/agent/decide.ts";
import { asMooringError } from "../../../src/errors.ts";
import { type Credential, register } from "../../../src/registration/handshake.ts";
import { silentLog } from "../../../src/system/log.ts";
import { anAssignment } from "../assignments.ts";
import type { Service } from "./model.ts";
import type { Timeline } from "./timeline.ts";

export interface Circumstances {
  readonly timeline: Timeline;
  readonly service: Service;
  readonly random: () => number;
  /** The device has an assignment when power returns. */
  readonly hasAssignment: boolean;
  /** When another id scope reaches it. */
  readonly newScopeAtMs?: number;
  readonly splayMs: number;
  readonly firstBootSplayMs: number;
  /** A TPM asks twice: for its challenge, and with the answer to it. */
  readonly attestation?: "x509" | "tpm";
}

export type Agent = (id: string, circumstances: Circumstances, done: () => void) => void | Promise<void>;

const sign = async (): Promise<Uint8Array> => new Uint8Array(32);
const credentials: Record<"x509" | "tpm", Credential> = {
  x509: { attestation: "x509" },
  tpm: {
    attestation: "tpm",
    endorsementKey: new Uint8Array(316),
    storageRootKey: new Uint8Array(284),
    activate: async () => ({ wrapped: new Uint8Array(32), sign }),
  },
};

/** Deadlines are kept by the handshake itself, which begins no wait that cannot end in time. */
const never = new AbortController().signal;

const midnight = Date.UTC(2026, 0, 1);
const deadlineMs = 120_000;

export const mooring: Agent = async (id, circumstances, done) => {
  const { timeline, service, random, newScopeAtMs, splayMs, firstBootSplayMs } = circumstances;
  const clock = {
    now: () => midnight + timeline.now(),
    monotonic: timeline.now,
    sleep: (ms: number) => timeline.sleep(ms),
  };
  const attempts = attemptsOn(
    { read: () => undefined, write: () => {} },
    { clock, random, boot: { bootId: "one", uptimeMs: timeline.now } },
  );
  const windows: Partial<Record<Trigger, number>> = {
    "config-changed": splayMs,
    "first-boot": firstBootSplayMs,
  };
  const scope = (): string =>
    timeline.now() >= (newScopeAtMs ?? Number.POSITIVE_INFINITY) ? "0ne2" : "0ne1";
  let assignment = circumstances.hasAssignment ? anAssignment({ idScope: "0ne1" }) : undefined;

  for (;;) {
    const idScope = scope();
    const decision = decide({
      assignment,
      wanted: { endpoint: anAssignment().endpoint, idScope, attestation: "x509" },
      policy: { onChange: "auto", onDisenrolled: "keep" },
      operatorAsks: false,
      pause: (trigger) => attempts.splay(trigger, id, windows[trigger] ?? 0) ?? attempts.pause(),
    });
    if (decision.act === "wait" && decision.forMs !== undefined) {
      await timeline.sleep(decision.forMs);
      continue;
    }
    if (decision.act !== "provision") {
      if (newScopeAtMs === undefined || timeline.now() >= newScopeAtMs) return done();
      await timeline.sleep(newScopeAtMs - timeline.now());
      continue;
    }
    attempts.begin(decision.trigger);
    const endsAt = timeline.now() + deadlineMs;
    try {
      await register({
        idScope,
        registrationId: id,
        credential: credentials[circumstances.attestation ?? "x509"],
        transport: service.transport(id),
        clock,
        random,
        log: silentLog,
        isPaced: true,
        signal: never,
        remainingMs: () => endsAt - timeline.now(),
      });
      assignment = anAssignment({ idScope });
      attempts.succeeded();
    } catch (error) {
      attempts.failed(asMooringError(error), { assignedAt: assignment?.assignedAt });
    }
  }
};

const naiveRetryMs = 5_000;

/** Registers at every start and every change; after a failure, again in five seconds. */
export const naive: Agent = (_id, { timeline, service, newScopeAtMs }, done) => {
  const ask = (): void => {
    if (service.register()?.status === 202) timeline.after(2_000, done);
    else timeline.after(naiveRetryMs, ask);
  };
  timeline.after(newScopeAtMs ?? 0, ask);
};
