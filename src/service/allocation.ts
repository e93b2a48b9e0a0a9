// Which hub gets a device. Pure: the same enrollment, hubs and registration always give the same answer.

import { createHash } from "node:crypto";
import type { EnrollmentGroup, IndividualEnrollment } from "./records.ts";

export type Allocation =
  | { readonly hub: string }
  | { readonly errorCode: number; readonly errorMessage: string };

/** `registrationKey` is what the hash spreads; `linkedHubs` are used where the enrollment names none. */
export function allocate(
  enrollment: IndividualEnrollment | EnrollmentGroup,
  { linkedHubs, registrationKey }: { linkedHubs: readonly string[]; registrationKey: string },
): Allocation {
  const { allocationPolicy, iotHubHostName, iotHubs = [] } = enrollment;
  // A hub without a policy means that hub.
  const policy = allocationPolicy ?? (iotHubHostName === undefined ? "hashed" : "static");
  if (policy === "custom") {
    return { errorCode: 400207, errorMessage: "Custom allocation failed: this service calls no webhooks." };
  }
  if (policy === "static") {
    const hub = iotHubHostName ?? iotHubs[0];
    if (hub !== undefined) return { hub };
    return { errorCode: 400208, errorMessage: "No IoT hub is specified for the static allocation policy." };
  }
  // geoLatency is decided by distance, then by hash; seen from one place all hubs are equally far.
  const hub = spread(iotHubs.length > 0 ? iotHubs : linkedHubs, registrationKey);
  return hub === undefined
    ? { errorCode: 400208, errorMessage: "No IoT hub is linked or specified." }
    : { hub };
}

/** Rendezvous hashing: a hub that joins or leaves moves its own share of the devices and no others. */
function spread(hubs: readonly string[], key: string): string | undefined {
  const weight = (hub: string): string =>
    createHash("sha256").update(`${hub.toLowerCase()}\0${key}`).digest("hex");
  return hubs
    .map((hub) => ({ hub, weight: weight(hub) }))
    .reduce<{ hub?: string; weight: string }>((best, each) => (each.weight > best.weight ? each : best), {
      weight: "",
    }).hub;
}
