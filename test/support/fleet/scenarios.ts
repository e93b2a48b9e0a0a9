// What happens to a whole fleet at once, played in virtual time: how many requests a minute the service sees, and when
// half, nearly all and all of the devices have what they want.

import type { Agent, Circumstances } from "./agents.ts";
import { minute, modelService, type ServiceDay } from "./model.ts";
import { openTimeline } from "./timeline.ts";

export interface Scenario {
  readonly title: string;
  readonly devices: Partial<Omit<Circumstances, "timeline" | "service" | "random">>;
  readonly service?: Omit<ServiceDay, "now" | "quota">;
  /** From here on the time until all are done is counted. */
  readonly startsAtMs?: number;
}

const hour = 60 * minute;
const splay15 = 15 * minute;

export const scenarios = {
  powerReturns: {
    title: "power returns, all have an assignment",
    devices: { hasAssignment: true },
  },
  newScope: {
    title: "a new id scope reaches all at once",
    devices: { hasAssignment: true, newScopeAtMs: minute },
    startsAtMs: minute,
  },
  newScopeTpm: {
    title: 'the same with TPMs, which ask twice; splay = "30min"',
    devices: { hasAssignment: true, newScopeAtMs: minute, attestation: "tpm", splayMs: 2 * splay15 },
    startsAtMs: minute,
  },
  firstBoot: {
    title: "first boot of all at once",
    devices: {},
  },
  firstBootSplayed: {
    title: 'the same, first_boot_splay = "15min"',
    devices: { firstBootSplayMs: splay15 },
  },
  unreachable: {
    title: "first boot, service unreachable for an hour",
    devices: {},
    service: { outage: { kind: "unreachable", untilMs: hour } },
    startsAtMs: hour,
  },
  broken: {
    title: "first boot, service answers 503 for an hour",
    devices: {},
    service: { outage: { kind: "broken", untilMs: hour } },
    startsAtMs: hour,
  },
  notEnrolled: {
    title: "first boot, enrolled after two hours",
    devices: {},
    service: { enrolledAtMs: 2 * hour },
    startsAtMs: 2 * hour,
  },
} as const satisfies Record<string, Scenario>;

export interface FleetOptions {
  readonly devices: number;
  /** Registrations a minute. */
  readonly quota: number;
  readonly seed?: number;
}

export interface Played {
  /** Register requests by minute since the beginning, refused ones too. */
  readonly requests: readonly number[];
  readonly peak: number;
  /** Requests that the service refused for its quota. */
  readonly refused: number;
  /** Minutes in which there were more requests than the quota allows. */
  readonly minutesAbove: number;
  readonly provisioned: number;
  /** ms from the scenario's start until this share of the devices was done; undefined: never. */
  doneAfterMs(share: number): number | undefined;
}

const longest = 12 * hour;

export async function play(agent: Agent, scenario: Scenario, options: FleetOptions): Promise<Played> {
  const timeline = openTimeline();
  const random = seededRandom(options.seed ?? 1);
  const service = modelService({ now: timeline.now, quota: options.quota, ...scenario.service });
  const doneAt: number[] = [];
  for (let index = 0; index < options.devices; index++) {
    void agent(
      `gw-${String(index).padStart(6, "0")}`,
      {
        timeline,
        service,
        random,
        hasAssignment: false,
        splayMs: splay15,
        firstBootSplayMs: 0,
        ...scenario.devices,
      },
      () => doneAt.push(timeline.now()),
    );
  }
  await timeline.run(longest);
  const requests = Array.from(service.requests, (count = 0) => count);
  return {
    requests,
    peak: Math.max(0, ...requests),
    refused: sum(service.refused),
    minutesAbove: requests.filter((count) => count > options.quota).length,
    provisioned: doneAt.length,
    doneAfterMs: (share) => {
      const at = doneAt[Math.ceil(share * options.devices) - 1];
      return at === undefined ? undefined : Math.max(0, at - (scenario.startsAtMs ?? 0));
    },
  };
}

const sum = (counts: readonly number[]): number =>
  Array.from(counts).reduce((total, count = 0) => total + count, 0);

/** The same numbers every time (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
