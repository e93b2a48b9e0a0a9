// An admitted device gets its hub: the move, the hub's device record and the registration record, all in one
// transaction.

import { randomBytes } from "node:crypto";
import type { RegistrationState } from "../registration/wire.ts";
import type { Admission } from "./admission.ts";
import { type Allocation, allocate } from "./allocation.ts";
import { sealAuthenticationKey } from "./attestation/authentication-key.ts";
import type { Device, DeviceAuthentication, InitialTwin, Registration } from "./records.ts";
import { type Move, placeOf, planMove, policyFor } from "./reprovision.ts";
import { azureTime, newEtag } from "./stamps.ts";
import type { Store } from "./store.ts";
import { keyOf } from "./tables.ts";

export interface RegisterRequest {
  readonly registrationId: string;
  readonly apiVersion: string;
  readonly payload?: unknown;
  /** ms since 1970. */
  readonly now: number;
}

/**
 * Which hub it will be, or why there is none; undefined when the enrollment's webhook has to be asked. A device that
 * is never moved stays where it is, whatever became of the enrollment's hubs; a webhook is asked all the same,
 * because it may have something to tell the device.
 */
export function allocateHere(
  store: Store,
  { enrollment }: Admission,
  { registrationId, apiVersion }: Pick<RegisterRequest, "registrationId" | "apiVersion">,
): Allocation | undefined {
  const registrationKey = keyOf(registrationId);
  const allocation = allocate(enrollment, { linkedHubs: store.hubs.all(), registrationKey });
  const present = placeOf(store.registrations.get(registrationId));
  const stays = present && !policyFor(enrollment.reprovisionPolicy, apiVersion).updateHubAssignment;
  return allocation && stays ? { hub: present.hub } : allocation;
}

/** Registers the device and returns what it is told. Call it inside a transaction. */
export function register(
  store: Store,
  admission: Admission,
  request: RegisterRequest,
  allocation: Allocation,
): RegistrationState {
  const { enrollment, attestation } = admission;
  const before = store.registrations.get(request.registrationId);
  const record = {
    registrationId: request.registrationId,
    ...("enrollmentGroupId" in enrollment && { enrollmentGroupId: enrollment.enrollmentGroupId }),
    attestation,
    createdDateTimeUtc: before?.createdDateTimeUtc ?? azureTime(request.now),
    lastUpdatedDateTimeUtc: azureTime(request.now),
    etag: newEtag(),
    ...(request.payload !== undefined && { devicePayload: request.payload }),
  };

  if ("errorCode" in allocation) {
    // Where the device is now stays on record: it is still there.
    const present = before?.assignedHub !== undefined && {
      assignedHub: before.assignedHub,
      deviceId: before.deviceId,
    };
    const failed = { ...record, ...present, ...allocation, status: "failed" } as Registration;
    store.registrations.put(failed);
    return registrationState(failed);
  }

  const policy = policyFor(enrollment.reprovisionPolicy, request.apiVersion);
  const chosen = { hub: allocation.hub, deviceId: deviceIdFor(admission, before) };
  const move = planMove(policy, chosen, before);
  // The twin that a webhook gives counts for a hub that does not have one of the device already.
  const initialTwin =
    (move.toAnotherHub ? allocation.initialTwin : undefined) ?? enrollment.initialTwin ?? {};
  const device = settle(store, admission, { ...move, initialTwin }, request.registrationId);
  const { hub: assignedHub, deviceId, substatus } = move;
  const { payload } = allocation;
  const told = payload === undefined ? {} : { payload };
  const assigned: Registration = {
    ...{ ...record, status: "assigned", substatus, assignedHub, deviceId },
    ...told,
  };
  store.registrations.put(assigned);
  return { ...registrationState(assigned), ...credentials(admission, device) };
}

/** What the service API and a lookup show of a registration, and a device is told of its own. */
export function registrationState(registration: Registration): RegistrationState {
  const {
    enrollmentGroupId,
    attestation,
    devicePayload: _,
    assignedHub,
    deviceId,
    etag,
    ...state
  } = registration;
  const from = enrollmentGroupId === undefined ? {} : { enrollmentGroupId };
  return {
    ...(attestation === "tpm" ? {} : { [attestation]: from }),
    ...state,
    ...(state.status === "assigned" && { assignedHub, deviceId }),
    etag: Buffer.from(etag).toString("base64"),
  } as RegistrationState;
}

/** A group's device keeps the spelling under which the hub knows it. */
function deviceIdFor({ enrollment, deviceId }: Admission, before: Registration | undefined): string {
  const present = before?.deviceId;
  const respelled = present !== undefined && present.toLowerCase() === deviceId.toLowerCase();
  return "enrollmentGroupId" in enrollment && respelled ? present : deviceId;
}

/** Makes the hubs agree with the move: the device is known at its new place, and no more at its old one. */
function settle(
  store: Store,
  admission: Admission,
  { initialTwin, ...move }: Move & { initialTwin: InitialTwin },
  registrationId: string,
): Device {
  const { enrollment } = admission;
  const there = store.devices.get(move.hub, move.deviceId);
  const behind = move.from && store.devices.get(move.from.hub, move.from.deviceId);
  // A device id can be taken over by another registration; then nothing there is ours to remove.
  const left = behind && keyOf(behind.registrationId) === keyOf(registrationId) ? behind : undefined;
  const twin = {
    initial: there?.twin ?? initialTwin,
    keep: there?.twin ?? initialTwin,
    move: left?.twin ?? initialTwin,
    reset: initialTwin,
  }[move.twin];
  const device: Device = {
    hub: move.hub,
    deviceId: move.deviceId,
    registrationId,
    authentication: authenticationFor(admission, there),
    capabilities: enrollment.capabilities,
    twin,
  };
  if (left) store.devices.delete(left.hub, left.deviceId);
  store.devices.put(device);
  return device;
}

/**
 * A TPM keeps the key it has at this hub, so that a registration cut short leaves it able to connect. Another TPM,
 * such as that of a replaced board, gets another key, and the old one opens nothing any more.
 */
function authenticationFor({ authentication }: Admission, there: Device | undefined): DeviceAuthentication {
  if (authentication.type !== "tpm") return authentication;
  const sealedTo = authentication.keys.endorsementKey.name.toString("hex");
  const present = there?.authentication;
  if (present?.type === "sas" && present.sealedTo === sealedTo) return present;
  const newKey = (): string => randomBytes(32).toString("base64");
  return { type: "sas", primaryKey: newKey(), secondaryKey: newKey(), sealedTo };
}

/** The hub's key, sealed to the TPM that answered the challenge. */
function credentials({ authentication }: Admission, device: Device): RegistrationState {
  if (authentication.type !== "tpm" || device.authentication.type !== "sas") return {};
  const authenticationKey = sealAuthenticationKey({
    ...authentication.keys,
    key: Buffer.from(device.authentication.primaryKey, "base64"),
    resource: `${device.hub}/devices/${device.deviceId}`,
  });
  return { tpm: { authenticationKey } };
}
