// The crash-point sweep, over everything that changes an assignment: whatever system call is the last one, or fails,
// the gateway keeps an assignment with all that belongs to it. MOORING_SWEEP=all tries every point, MOORING_SWEEP=100 as
// many as fit into 100 seconds a command.

import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sweep } from "../support/crash-sweep.ts";
import { hubKeyHandle } from "../support/hub-key.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { succeed } from "../support/mooring.ts";
import { type Lane, type Outcome, openLane } from "../support/sweep-lane.ts";
import type { Swtpm } from "../support/swtpm.ts";

const { MOORING_SWEEP: asked = "90" } = process.env;
const everything = asked === "all";
const budgetMs = everything ? Number.POSITIVE_INFINITY : Number(asked) * 1000;
const timeout = everything ? 10_800_000 : 3 * budgetMs + 60_000;

let service: LocalService;
beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

async function losesNothing(lane: Lane, command: string, from: string, outcome: Outcome): Promise<void> {
  const scenario = {
    name: `${command} with ${lane.swtpm ? "a TPM" : "X.509"}`,
    injector: lane.injector,
    tpm: lane.swtpm,
    begin: async () => {
      await lane.recall(from);
      await lane.enroll(outcome.after);
    },
    command: (under: readonly string[]) => lane.run(command, under),
    losses: () => lane.losses(outcome),
  };
  const { points, tried, endings, losses } = await sweep(scenario, { budgetMs });
  const ended = Object.entries(endings).map(([code, times]) => `${times} with ${code}`);
  process.stdout.write(
    `crash-point sweep, ${scenario.name}: ${tried} of ${points} points, ${losses.length} losses (ended: ${ended.join(", ")})\n`,
  );
  expect(losses).toEqual([]);
  expect(tried).toBeGreaterThanOrEqual(everything ? points : 1);
}

/** A lane that has been provisioned, and remembers it. */
async function provisionedLane(kind: "tpm" | "x509", name: string): Promise<Lane> {
  const lane = await openLane(service, name, { kind, transport: "https" });
  await lane.enroll(`${name}-1`);
  await succeed(lane.run("provision"));
  lane.remember("provisioned");
  return lane;
}

describe.concurrent("whatever happens at whatever system call, nothing is lost", { timeout }, () => {
  it("in the first provisioning of a TPM gateway, whose root keys are made on the way", async () => {
    await using lane = await openLane(service, "tpm-a", { kind: "tpm", transport: "https" });
    const mended = { by: "provision", to: ["tpm-a-1"] };
    await losesNothing(lane, "provision", "blank", { before: undefined, after: "tpm-a-1", mended });
  });

  it("in the first provisioning of an X.509 gateway over MQTT", async () => {
    await using lane = await openLane(service, "x509-a", { kind: "x509", transport: "mqtt" });
    const mended = { by: "provision", to: ["x509-a-1"] };
    await losesNothing(lane, "provision", "blank", { before: undefined, after: "x509-a-1", mended });
  });

  it.each(["tpm", "x509"] as const)(
    "in a second provisioning of a gateway (%s), and in going back",
    async (kind) => {
      const name = `${kind}-b`;
      await using lane = await provisionedLane(kind, name);
      const [first, second] = [`${name}-1`, `${name}-2`];
      const mended = { by: "reprovision", to: [second] };
      await losesNothing(lane, "reprovision", "provisioned", { before: first, after: second, mended });

      await lane.recall("provisioned");
      await succeed(lane.run("reprovision"));
      lane.remember("reprovisioned");
      const kept = { by: "provision", to: [first, second] };
      await losesNothing(lane, "rollback", "reprovisioned", { before: second, after: first, mended: kept });
    },
  );
});

describe("a loss is seen", () => {
  const evict = (swtpm: Swtpm, handle: string): Promise<string> =>
    swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", handle);
  const plant = async (swtpm: Swtpm, handle: string): Promise<void> => {
    await swtpm.tool("tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "rsa2048", "-c", "planted.ctx");
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "planted.ctx", handle);
    await swtpm.tool("tpm2_flushcontext", "-t");
  };
  const spoil = (file: string): void =>
    writeFileSync(file, readFileSync(file, "utf8").replaceAll("tpm-c-1", "tpm-c-9"));

  const planted: [loss: string, plant: (lane: Lane, swtpm: Swtpm) => unknown, told: string][] = [
    [
      "no `current`",
      ({ gateway }) => rmSync(gateway.stateDirectory, { recursive: true }),
      "nothing is served",
    ],
    [
      "a damaged assignment",
      ({ gateway }) => spoil(`${gateway.stateDirectory}/current/assignment.json`),
      "no current",
    ],
    [
      "an announcement that cannot be made",
      ({ gateway: { stateDirectory } }) => {
        rmSync(`${stateDirectory}/announced`);
        symlinkSync("/nowhere", `${stateDirectory}/announced`);
      },
      "is not announced",
    ],
    ["a key that left the TPM", (_lane, swtpm) => evict(swtpm, hubKeyHandle), "does not hold the hub key"],
    ["a key too many in the TPM", (_lane, swtpm) => plant(swtpm, "0x81000300"), "unknown persistent handle"],
    ["a key of others that left the TPM", (_lane, swtpm) => evict(swtpm, "0x81000200"), "was touched"],
    [
      "an index too many in the TPM",
      (_lane, swtpm) => swtpm.tool("tpm2_nvdefine", "0x1800777", "-C", "o"),
      "NV index",
    ],
  ];

  it.each(planted)("when it is %s", async (_loss, act, told) => {
    await using lane = await provisionedLane("tpm", "tpm-c");
    const kept: Outcome = {
      before: "tpm-c-1",
      after: "tpm-c-1",
      mended: { by: "provision", to: ["tpm-c-1"] },
    };
    expect(await lane.losses(kept)).toEqual([]);
    await act(lane, lane.swtpm as Swtpm);
    expect((await lane.losses(kept)).join("\n")).toContain(told);
  });
});

it("the injector stops at the same calls below the state directory that strace sees", async () => {
  await using lane = await provisionedLane("x509", "x509-c");
  const { gateway, injector } = lane;
  await succeed(lane.run("reprovision", injector.under(0, "kill")));
  const stopped = injector.calls().map(({ name }) => name);

  await lane.recall("provisioned");
  const trace = gateway.file("trace");
  await succeed(lane.run("reprovision", ["strace", "-f", "-y", "-o", trace]));
  const seen = readFileSync(trace, "utf8")
    .split("\n")
    .filter(
      (line) =>
        line.includes(`${gateway.stateDirectory}/`) ||
        line.includes(`${gateway.stateDirectory}"`) ||
        line.includes(`${gateway.stateDirectory}>`),
    )
    .flatMap((line) => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? [])
    .filter((name) => !["execve", "close", "lseek", "mmap"].includes(name));
  expect(count(stopped)).toEqual(count(seen));
});

function count(names: readonly string[]): Record<string, number> {
  const times: Record<string, number> = {};
  for (const name of names) times[name] = (times[name] ?? 0) + 1;
  return times;
}
