// A registration under way: begun by a register request, and asked after by polls until it has a result. It has one
// at once, unless the enrollment's webhook has to say where the device belongs.

import type { OperationStatus } from "../registration/wire.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Admission } from "./admission.ts";
import type { Allocation } from "./allocation.ts";
import { allocationQuestion, askWebhook } from "./custom-allocation.ts";
import type { Operation } from "./records.ts";
import { Refusal, Throttled } from "./refusal.ts";
import { allocateHere, register } from "./registrar.ts";
import { placeOf } from "./reprovision.ts";
import { newOperationId } from "./stamps.ts";
import type { Store } from "./store.ts";
import { keyOf } from "./tables.ts";
import type { Webhook } from "./webhook.ts";

export interface OperationsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly webhook: Webhook;
  /** How long an operation stays `assigning` at least. */
  readonly assigningMs: number;
}

/** A device that may register, and what it came with. */
export interface Registrant {
  readonly admission: Admission;
  readonly registrationId: string;
  readonly apiVersion: string;
  readonly transport: string;
  readonly certificates: readonly Buffer[];
  readonly payload?: unknown;
}

export interface Operations {
  /** Registers the device, or asks the webhook where to; the status is `assigning` then. */
  begin(registrant: Registrant): OperationStatus;
  /** What has become of it; undefined when this registration has no such operation. */
  poll(operationId: string, registrant: Omit<Registrant, "payload">): OperationStatus | undefined;
  /** Breaks off what is under way; the devices' next polls begin it again. */
  close(): Promise<void>;
}

/** Webhooks that are waited for at the same time; with their time-out that is far more than devices may ask for. */
const mostUnderWay = 1000;
const retryAfterSeconds = 10;

/** The limit of DPS; delete registrations of devices that are gone. */
const mostRegistrations = 1_000_000;

/** How long a finished operation can still be asked for. */
const lifetimeMs = 60 * 60_000;

export function createOperations(options: OperationsOptions): Operations {
  const { store, clock, log, webhook, assigningMs } = options;
  const closing = new AbortController();
  const underWay = new Map<string, Promise<void>>();
  let prunedAt = 0;

  function finish(operationId: string, registrant: Registrant, allocation: Allocation): OperationStatus {
    const { registrationId, admission } = registrant;
    const now = clock.now();
    // A device whose registration is lost with the power registers again.
    const result = store.quickTransaction((): OperationStatus => {
      const state = register(store, admission, { ...registrant, now }, allocation);
      const finished = { operationId, status: state.status ?? "failed", registrationState: state };
      store.operations.put({ operationId, registrationId, readyAt: now + assigningMs, result: finished });
      return finished;
    });
    tell(log, registrant, result);
    return result;
  }

  function startAsking(operationId: string, registrant: Registrant): void {
    const work = ask(operationId, registrant)
      .catch((error) => {
        if (!closing.signal.aborted) log.error("operation.failed", { operationId, error });
      })
      .finally(() => underWay.delete(operationId));
    underWay.set(operationId, work);
  }

  /** Without a transaction open: others register meanwhile. */
  async function ask(operationId: string, registrant: Registrant): Promise<void> {
    const { admission, registrationId } = registrant;
    const present = placeOf(store.registrations.get(registrationId));
    const question = allocationQuestion({ ...registrant, ...(present && { present }) }, store.hubs.all());
    const { signal } = closing;
    const allocation = await askWebhook(webhook, admission.enrollment, question, { log, signal });
    signal.throwIfAborted();
    // Else the answer is to a question of the past: the next poll is refused, or begins again.
    if (isUnchanged(store, admission)) finish(operationId, registrant, allocation);
  }

  function prune(now: number): void {
    if (now < prunedAt + lifetimeMs) return;
    prunedAt = now;
    store.operations.prune(now - lifetimeMs);
  }

  return {
    begin(registrant) {
      const { registrationId, admission, apiVersion, payload } = registrant;
      const operationId = newOperationId(keyOf(registrationId));
      const readyAt = clock.now();
      prune(readyAt);
      verifyRoom(store, registrationId);
      const allocation = allocateHere(store, admission, registrant);
      if (allocation !== undefined) return finish(operationId, registrant, allocation);
      if (underWay.size >= mostUnderWay) throw new Throttled(retryAfterSeconds);
      const asked = { apiVersion, ...(payload !== undefined && { payload }) };
      store.quickTransaction(() => store.operations.put({ operationId, registrationId, readyAt, asked }));
      startAsking(operationId, registrant);
      return running(operationId);
    },

    poll(operationId, registrant) {
      const operation = store.operations.get(operationId);
      if (!operation || keyOf(operation.registrationId) !== keyOf(registrant.registrationId))
        return undefined;
      const { asked } = operation;
      if (asked && !underWay.has(operationId) && underWay.size < mostUnderWay) {
        const again = { ...registrant, ...asked };
        const allocation = allocateHere(store, again.admission, again);
        if (allocation !== undefined) return finish(operationId, again, allocation);
        startAsking(operationId, again);
      }
      return isFinished(operation, clock.now()) ? operation.result : running(operationId);
    },

    async close() {
      closing.abort();
      await Promise.all(underWay.values());
    },
  };
}

const isFinished = (
  operation: Operation,
  now: number,
): operation is Operation & { result: OperationStatus } =>
  operation.result !== undefined && now >= operation.readyAt;

const running = (operationId: string): OperationStatus => ({ operationId, status: "assigning" });

function verifyRoom({ registrations }: Store, registrationId: string): void {
  if (registrations.count() < mostRegistrations || registrations.get(registrationId)) return;
  throw new Refusal(409000, `Quota exceeded: ${mostRegistrations} registrations.`);
}

function isUnchanged({ enrollments, enrollmentGroups }: Store, { enrollment }: Admission): boolean {
  const row =
    "enrollmentGroupId" in enrollment
      ? enrollmentGroups.get(enrollment.enrollmentGroupId)
      : enrollments.get(enrollment.registrationId);
  return row?.etag === enrollment.etag;
}

function tell(log: Log, { registrationId, transport, admission }: Registrant, result: OperationStatus): void {
  const { operationId, status, registrationState: state } = result;
  const { attestation } = admission;
  const { assignedHub, deviceId, substatus } = state ?? {};
  const fields = { registrationId, attestation, transport, operationId, assignedHub, deviceId, substatus };
  if (status === "assigned") log.info("device.registered", fields);
  else log.warn("device.failed", { ...fields, code: state?.errorCode, message: state?.errorMessage });
}
