// Which hub gets a device, as far as the service decides that by itself. Pure: the same enrollment, hubs and
// registration always give the same answer.

import { createHash } from "node:crypto";
import type { EnrollmentGroup, IndividualEnrollment, InitialTwin, LinkedHub } from "./records.ts";
import { keyOf } from "./tables.ts";

export type Allocation =
  | {
      readonly hub: string;
      /** From a webhook, in place of the enrollment's. */
      readonly initialTwin?: InitialTwin;
      /** From a webhook, for the device. */
      readonly payload?: unknown;
    }
  | { readonly errorCode: number; readonly errorMessage: string };

/** `registrationKey` is what the hash spreads. Undefined when the enrollment leaves it to its webhook. */
export function allocate(
  enrollment: IndividualEnrollment | EnrollmentGroup,
  { linkedHubs, registrationKey }: { linkedHubs: readonly LinkedHub[]; registrationKey: string },
): Allocation | undefined {
  const { allocationPolicy, iotHubHostName, iotHubs = [] } = enrollment;
  // A hub without a policy means that hub.
  const policy = allocationPolicy ?? (iotHubHostName === undefined ? "hashed" : "static");
  if (policy === "custom") return undefined;
  if (policy === "static") {
    const hub = iotHubHostName ?? iotHubs[0];
    if (hub !== undefined) return { hub };
    return { errorCode: 400208, errorMessage: "No IoT hub is specified for the static allocation policy." };
  }
  const candidates = candidateHubs(enrollment, linkedHubs);
  const hub = spread(policy === "geoLatency" ? nearest(candidates) : candidates, registrationKey);
  return hub === undefined
    ? { errorCode: 400208, errorMessage: "No IoT hub is linked or specified." }
    : { hub };
}

/** Those that the enrollment names, or all that are linked where it names none. */
export const candidateHubs = (
  { iotHubs = [] }: IndividualEnrollment | EnrollmentGroup,
  linkedHubs: readonly LinkedHub[],
): readonly LinkedHub[] =>
  iotHubs.length > 0 ? iotHubs.map((name) => hubNamed(name, linkedHubs)) : linkedHubs;

/** An enrollment may name a hub that is not linked; it counts once, and nobody knows how far it is. */
const hubNamed = (name: string, linkedHubs: readonly LinkedHub[]): LinkedHub =>
  linkedHubs.find(({ hostName }) => keyOf(hostName) === keyOf(name)) ?? {
    hostName: name,
    allocationWeight: 1,
  };

/** Those of the lowest declared latency; all of them when none is declared. */
function nearest(hubs: readonly LinkedHub[]): readonly LinkedHub[] {
  const latency = ({ latencyMs = Number.POSITIVE_INFINITY }: LinkedHub): number => latencyMs;
  const lowest = Math.min(...hubs.map(latency));
  return hubs.filter((hub) => latency(hub) === lowest);
}

/**
 * Weighted rendezvous hashing: each hub gets its share, and one that joins, leaves or changes its weight moves only
 * the devices that it wins or loses.
 */
function spread(hubs: readonly LinkedHub[], key: string): string | undefined {
  const score = ({ hostName, allocationWeight }: LinkedHub): number => {
    const hash = createHash("sha256")
      .update(`${keyOf(hostName)}\0${key}`)
      .digest();
    // 48 bits, evenly between 0 and 1, and neither of them.
    const draw = (hash.readUIntBE(0, 6) + 0.5) / 2 ** 48;
    return -allocationWeight / Math.log(draw);
  };
  return hubs
    .map((hub) => ({ hub: hub.hostName, score: score(hub) }))
    .reduce<{ hub?: string; score: number }>((best, each) => (each.score > best.score ? each : best), {
      score: 0,
    }).hub;
}
