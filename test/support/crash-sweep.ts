// The crash-point sweep: one command of the program is run again and again from the same beginning, each time with
// another fault at another of the system calls by which it touches the state directory or the TPM. After each of them
// the gateway must have lost nothing.

import type { Fault, FaultInjector, TouchingCall } from "./fault-injector.ts";
import type { Run } from "./mooring.ts";
import type { Swtpm } from "./swtpm.ts";

export interface Scenario {
  readonly name: string;
  readonly injector: FaultInjector;
  /** When there is one. */
  readonly tpm: Pick<Swtpm, "pid" | "kill"> | undefined;
  /** Brings gateway, TPM and enrollment to where the command starts from. */
  begin(): Promise<void>;
  /** Runs the command under test. */
  command(under: readonly string[]): Promise<Run>;
  /** What the gateway has lost; empty when all is well. */
  losses(): Promise<string[]>;
}

interface Point {
  /** Counted from 1. */
  readonly nth: number;
  readonly call: TouchingCall;
  readonly fault: Exclude<Fault, number> | "tpm-dies";
}

export interface Sweep {
  readonly points: number;
  readonly tried: number;
  /** How the faulted runs ended: by exit code or signal. */
  readonly endings: Readonly<Record<string, number>>;
  readonly losses: readonly string[];
}

/** Tries every point, or as many as fit into the time: the decisive ones, then others spread evenly. */
export async function sweep(scenario: Scenario, { budgetMs }: { budgetMs: number }): Promise<Sweep> {
  const startedAt = performance.now();
  const { injector, tpm } = scenario;
  await scenario.begin();
  const recorded = await scenario.command(injector.under(0, "kill"));
  if (recorded.code !== 0) throw new Error(`${scenario.name} fails by itself: ${recorded.stderr}`);
  const points = injector.calls().flatMap(pointsAt);

  const endings: Record<string, number> = {};
  const losses: string[] = [];
  let tried = 0;
  for (const point of [...points.filter(isDecisive), ...evenly(points.filter((one) => !isDecisive(one)))]) {
    if (performance.now() - startedAt > budgetMs) break;
    await scenario.begin();
    const fault = point.fault === "tpm-dies" ? (tpm?.pid ?? 0) : point.fault;
    const run = await scenario.command(injector.under(point.nth, fault));
    if (point.fault === "tpm-dies") await tpm?.kill(); // it may still be about to end
    const ending = String(run.code);
    endings[ending] = (endings[ending] ?? 0) + 1;
    const found = [...misbehaviour(point, run), ...(await scenario.losses())];
    losses.push(...found.map((loss) => `${point.fault} at ${point.nth}, ${told(point.call)}: ${loss}`));
    tried += 1;
  }
  return { points: points.length, tried, endings, losses };
}

const isOnSocket = ({ path }: TouchingCall): boolean => /\.sock(\.ctrl)?$/.test(path);

const evictControl = 0x120;

/** Cuts around the flip of `current`, and around the TPM giving up one key for the other. */
const isDecisive = ({ call, fault }: Point): boolean =>
  (fault === "kill" || fault === "tpm-dies") &&
  (call.commandCode === evictControl || (call.name.startsWith("rename") && call.path.endsWith("/current")));

const told = ({ name, path }: TouchingCall): string => `${name} ${path.split("/").slice(-2).join("/")}`;

/** Being killed before a call that only reads a file is being killed before the next one: it is tried there. */
function pointsAt(call: TouchingCall, index: number): Point[] {
  const faults: Point["fault"][] = ["eio"];
  if (call.changes || isOnSocket(call)) faults.push("kill");
  if (isOnSocket(call)) faults.push("tpm-dies");
  if (["write", "pwrite64"].includes(call.name)) faults.push("short");
  if (!isOnSocket(call) && call.mayNeedSpace) faults.push("enospc");
  if (!isOnSocket(call) && call.changes) faults.push("erofs");
  return faults.map((fault) => ({ nth: index + 1, call, fault }));
}

/** Steps of about the golden section: wherever this is stopped, what was visited lies evenly. */
function* evenly<T>(all: readonly T[]): Generator<T> {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  let step = Math.max(1, Math.round(all.length * 0.618));
  while (divisor(step, all.length) !== 1) step += 1;
  for (let i = 0; i < all.length; i += 1) yield all[(i * step) % all.length] as T;
}

/** Killed it has to be; otherwise it ends well, or in its own words. */
function misbehaviour({ fault }: Point, { code, stderr }: Run): string[] {
  if (fault === "kill") return code === 137 ? [] : [`it was to be killed, and ended with ${code}: ${stderr}`];
  if (code === 0 || (stderr.includes("mooring: ERR_") && !stderr.includes("ERR_INTERNAL"))) return [];
  return [`it ended with ${code}: ${stderr}`];
}
