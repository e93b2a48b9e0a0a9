// A fleet of ten thousand in virtual time: what the service sees of Mooring, and what it sees of an agent that asks again
// every five seconds. The numbers are the same on every machine.

import { writeFileSync } from "node:fs";
import { type Agent, mooring, naive } from "../support/fleet/agents.ts";
import { minute } from "../support/fleet/model.ts";
import {
  type FleetOptions,
  type Played,
  play,
  type Scenario,
  scenarios,
} from "../support/fleet/scenarios.ts";
import { lineChart } from "./chart.ts";
import { table } from "./report.ts";

const agents: readonly (readonly [name: string, agent: Agent])[] = [
  ["Mooring", mooring],
  ["naive", naive],
];

const fleet: FleetOptions = { devices: 10_000, quota: 1_000 };

/** Prints every scenario with both agents, and writes the chart. */
export async function benchFleet(say: (text: string) => void, chartFile: string): Promise<void> {
  const { devices, quota } = fleet;
  Error.stackTraceLimit = 0; // a million errors are made, and nobody reads where
  const head = [
    ["", "", "requests a minute", "", "refused", "minutes", "minutes until done", "", ""],
    [`${count(devices)} devices`, "", "peak", "× quota", "", "above quota", "50 %", "99 %", "100 %"],
  ];
  const rows: string[][] = [];
  for (const scenario of Object.values<Scenario>(scenarios)) {
    for (const [name, agent] of agents) {
      const played = await play(agent, scenario, fleet);
      rows.push([name === "Mooring" ? scenario.title : "", name, ...cells(played, quota)]);
    }
  }
  say(`${table(2, [...head, ...rows])}
The service takes ${count(quota)} registrations a minute, and tells everybody above that to come back when the minute is over.
Whoever is naive registers at every start, and again every five seconds until it is served.`);
  writeFileSync(chartFile, await chart());
  say(`The chart is ${chartFile}.`);
}

const cells = ({ peak, refused, minutesAbove, doneAfterMs }: Played, quota: number): string[] => [
  count(peak),
  (peak / quota).toFixed(1),
  count(refused),
  count(minutesAbove),
  ...[0.5, 0.99, 1].map((share) => {
    const ms = doneAfterMs(share);
    return ms === undefined ? "never" : (ms / minute).toFixed(1);
  }),
];

async function chart(): Promise<string> {
  const lines = [
    {
      name: "asks again every 5 seconds",
      nameAt: "above",
      played: await play(naive, scenarios.firstBoot, fleet),
    },
    {
      name: "Mooring, without a window",
      nameAt: "above",
      played: await play(mooring, scenarios.firstBoot, fleet),
    },
    {
      name: "Mooring, window of 15 min",
      nameAt: "below",
      played: await play(mooring, scenarios.firstBootSplayed, fleet),
    },
  ] as const;
  const shownMinutes = 20;
  return lineChart({
    title: `${count(fleet.devices)} gateways want to be registered in the same second`,
    x: "minutes",
    y: "requests a minute",
    logarithmicY: true,
    lines: [
      ...lines.map(({ name, nameAt, played: { requests } }) => ({
        name,
        nameAt,
        points: requests.slice(0, shownMinutes).map((made, at) => [at, Math.max(1, made)] as const),
      })),
      {
        name: "quota of the service",
        dashed: true,
        points: [
          [0, fleet.quota],
          [shownMinutes, fleet.quota],
        ],
      },
    ],
  });
}

const count = (value: number): string => new Intl.NumberFormat("en").format(value);
