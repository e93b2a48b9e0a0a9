// What a registration does to a device that may already have a hub: the three re-provision policies. Pure.

import type { Registration, ReprovisionPolicy } from "./records.ts";

export interface Place {
  readonly hub: string;
  readonly deviceId: string;
}

export interface Move extends Place {
  /** Where the device is now, if it has to go away from there. */
  readonly from?: Place;
  /** `initial`: from the enrollment, unless the hub already has one. */
  readonly twin: "initial" | "keep" | "move" | "reset";
  readonly substatus: NonNullable<Registration["substatus"]>;
}

/** Policies came with api-version 2018-09-01-preview; a device that is older stays where it is when there is none. */
export const policyFor = (stored: ReprovisionPolicy | undefined, apiVersion: string): ReprovisionPolicy =>
  stored ?? { updateHubAssignment: apiVersion >= "2018-09-01", migrateDeviceData: true };

/** `chosen` is where the enrollment wants the device now; `before` its registration so far. */
export function planMove(policy: ReprovisionPolicy, chosen: Place, before: Registration | undefined): Move {
  if (before?.assignedHub === undefined || before.deviceId === undefined) {
    return { ...chosen, twin: "initial", substatus: "initialAssignment" };
  }
  const present: Place = { hub: before.assignedHub, deviceId: before.deviceId };
  const substatus = before.substatus ?? "initialAssignment";
  if (!policy.updateHubAssignment) return { ...present, twin: "keep", substatus };

  const moves =
    present.hub.toLowerCase() !== chosen.hub.toLowerCase() || present.deviceId !== chosen.deviceId;
  const from = moves ? { from: present } : {};
  if (!policy.migrateDeviceData) return { ...chosen, ...from, twin: "reset", substatus: "deviceDataReset" };
  return moves
    ? { ...chosen, ...from, twin: "move", substatus: "deviceDataMigrated" }
    : { ...present, twin: "keep", substatus };
}
