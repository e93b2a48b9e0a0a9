// What a registration does to a device that may already have a hub: the three re-provision policies. Pure.

import type { Registration, ReprovisionPolicy } from "./records.ts";

export interface Place {
  readonly hub: string;
  readonly deviceId: string;
}

export interface Move extends Place {
  /** Where the device is now, if it has to go away from there. */
  readonly from?: Place;
  /** Whether it is new at this hub. */
  readonly toAnotherHub: boolean;
  /** `initial`: from the enrollment, unless the hub already has one. */
  readonly twin: "initial" | "keep" | "move" | "reset";
  readonly substatus: NonNullable<Registration["substatus"]>;
}

/** Policies came with api-version 2018-09-01-preview; a device that is older stays where it is when there is none. */
export const policyFor = (stored: ReprovisionPolicy | undefined, apiVersion: string): ReprovisionPolicy =>
  stored ?? { updateHubAssignment: apiVersion >= "2018-09-01", migrateDeviceData: true };

/** Where the device was assigned last; a registration that failed since does not change that. */
export const placeOf = (before: Registration | undefined): Place | undefined =>
  before?.assignedHub === undefined || before.deviceId === undefined
    ? undefined
    : { hub: before.assignedHub, deviceId: before.deviceId };

/** `chosen` is where the enrollment wants the device now; `before` its registration so far. */
export function planMove(policy: ReprovisionPolicy, chosen: Place, before: Registration | undefined): Move {
  const present = placeOf(before);
  if (present === undefined) {
    return { ...chosen, toAnotherHub: true, twin: "initial", substatus: "initialAssignment" };
  }
  const substatus = before?.substatus ?? "initialAssignment";
  const stay: Move = { ...present, toAnotherHub: false, twin: "keep", substatus };
  if (!policy.updateHubAssignment) return stay;

  const toAnotherHub = present.hub.toLowerCase() !== chosen.hub.toLowerCase();
  const moves = toAnotherHub || present.deviceId !== chosen.deviceId;
  const move = { ...chosen, toAnotherHub, ...(moves && { from: present }) };
  if (!policy.migrateDeviceData) return { ...move, twin: "reset", substatus: "deviceDataReset" };
  return moves ? { ...move, twin: "move", substatus: "deviceDataMigrated" } : stay;
}
