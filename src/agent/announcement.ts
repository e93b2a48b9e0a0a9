// Tells systemd, which alone may start and stop units, what the gateway's programs can work with. Two files lie in
// `agent` beside the control socket: `assigned` is there for as long as there is a published assignment to work with, and
// another one when they have to work otherwise; `changed` is a bell. mooring-changed.path hears it and takes it away, and
// keeps what a program is to have in its environment where only root may write (/run/mooring/hub.env). Where nobody made
// that directory, nobody listens. What was announced last is kept with the state (`announced`), for a boot at which the
// agent cannot start (mooring.service).

import { createHash } from "node:crypto";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Assignment } from "../assignment/assignment.ts";
import { renderEnv } from "../assignment/formats.ts";
import type { Generation } from "../assignment/generations.ts";
import { isPublishedIn, type OutputResult } from "../assignment/outputs.ts";
import { lastingEnvironment } from "../assignment/published.ts";
import type { Config } from "../config/schema.ts";
import { causeText, MooringError, systemCode } from "../errors.ts";
import { fileFailure, removeFile, writeAtomic } from "../system/atomic-file.ts";
import type { Log } from "../system/log.ts";
import { readRegularFile } from "../system/regular-file.ts";
import { needsItsHubKey } from "./hub-key.ts";

/** Whether anybody can read of it; one broken output of several is no reason to keep it from all programs. */
export const isOut = (outputs: readonly OutputResult[]): boolean =>
  outputs.length === 0 || outputs.some(({ status }) => status !== "failed");

/**
 * Announces a generation once it is published and its hub key is at its handle; before that, what was announced stands.
 * Outputs that failed are named, so that there is a new announcement once they are there. Never throws, because who
 * cannot be told is no reason to do without the assignment: answers with the file that could not be written, as with an
 * output that failed.
 */
export function announce(
  config: Config,
  generation: Generation,
  outputs: readonly OutputResult[],
  log: Log,
): OutputResult | undefined {
  if (needsItsHubKey(generation) || !isOut(outputs)) return undefined;
  const where = outputs.map(({ path, status }) => `${status === "failed" ? "without" : "in"} ${path}\n`);
  const { assignment } = generation;
  const text = `${digestOf(assignment)}\n${where.join("")}\n${environmentOf(assignment)}`;
  return change(config, log, saying(text));
}

/**
 * Announces what was announced last, where it is still there to be read: for an agent that has lost the generation
 * behind it, as to a damaged disk. Never throws.
 */
export function announceAgain(config: Config, log: Log): void {
  const path = join(config.state.directory, "announced");
  attempt(path, log, () => {
    const text = said(path);
    const [, ...outputs] = text?.split("\n\n", 1)[0]?.split("\n") ?? [];
    const isThere = (line: string): boolean => !line.startsWith("in ") || existsSync(line.slice(3));
    if (text !== undefined && outputs.every(isThere)) change(config, log, saying(text));
  });
}

/** Whether this one was announced, by whichever process, and can still be read: outputs may not outlast a boot. */
export const isAnnounced = ({ state, outputs }: Config, { assignment }: Generation): boolean =>
  said(join(state.directory, "announced"))?.split("\n", 1)[0] === digestOf(assignment) &&
  (outputs.length === 0 || outputs.some((output) => isPublishedIn(output, assignment)));

/**
 * Tells where systemd's units look for the announcement and its copy (RUNTIME_DIRECTORY, STATE_DIRECTORY), where that is
 * elsewhere than this configuration has them: nobody would be started, and no other sign of it be seen.
 */
export function tellIfUnheard({ daemon, state }: Config, log: Log, env = process.env): void {
  const places = [
    [env["RUNTIME_DIRECTORY"], join(dirname(daemon.controlSocket), "agent")],
    [env["STATE_DIRECTORY"], state.directory],
  ] as const;
  for (const [theirs, ours] of places) {
    if (theirs === undefined || theirs.split(":").includes(ours)) continue;
    const hint =
      "have the units of the package look there, or take `control_socket` and `[state]` as they come";
    log.warn("announcement.unheard", { path: ours, unitsLookIn: theirs, hint });
  }
}

/** There is nothing to work with any more. Failures as announce() has them. */
export function revoke(config: Config, log: Log): OutputResult | undefined {
  return change(config, log, { isSo: (file) => said(file) === undefined, make: removeFile });
}

/** The same for as long as nobody has to work otherwise. */
const digestOf = (assignment: Assignment): string =>
  createHash("sha256")
    .update(JSON.stringify(lastingEnvironment(assignment)))
    .digest("hex");

/** Without a payload that no such file can hold: the hub is what everybody needs. */
function environmentOf(assignment: Assignment): string {
  try {
    return renderEnv(assignment);
  } catch {
    const { payload: _payload, ...rest } = assignment;
    return renderEnv(rest);
  }
}

interface Change {
  readonly isSo: (file: string) => boolean;
  readonly make: (file: string, mode: number) => void;
}

const saying = (text: string): Change => ({
  isSo: (file) => said(file) === text,
  make: (file, mode) => writeAtomic(file, text, { mode, failure: "ERR_OUTPUT" }),
});

/**
 * The file before the bell: whoever hears that finds it as it is now. And a bell before the file, for when this process
 * is killed between the two: it is there still, or whoever has heard it looks once more in the end.
 */
function change(
  { daemon: { controlSocket }, state }: Config,
  log: Log,
  { isSo, make }: Change,
): OutputResult | undefined {
  const announced = join(state.directory, "announced");
  const unkept = attempt(announced, log, () => isSo(announced) || make(announced, 0o600));
  const directory = join(dirname(controlSocket), "agent");
  const [assigned, bell] = [join(directory, "assigned"), join(directory, "changed")];
  const unsaid = attempt(assigned, log, () => {
    // Another user's is that of another gateway, such as a demonstration beside the package's agent.
    if (statSync(directory).uid !== process.geteuid?.() || isSo(assigned)) return;
    ring(bell);
    make(assigned, 0o640);
    ring(bell);
  });
  return unsaid ?? unkept;
}

function attempt(path: string, log: Log, act: () => void): OutputResult | undefined {
  try {
    // Without the one directory nobody listens; without the other there is no assignment.
    if (existsSync(dirname(path))) act();
    return undefined;
  } catch (cause) {
    log.warn("announcement.failed", { path, error: causeText(cause) });
    const { code, message } = fileFailure("ERR_OUTPUT", "announce in", path, cause);
    const hint =
      "systemd's units are not told meanwhile: see that there is room in that directory, and whose it is";
    return { path, status: "failed", error: new MooringError(code, message, { cause, path, hint }) };
  }
}

/** It may hang there still. Root may ring, too, in a directory of the agent's: no link leads it elsewhere. */
function ring(bell: string): void {
  try {
    writeFileSync(bell, "", { flag: "wx", mode: 0o644 });
  } catch (error) {
    if (systemCode(error) !== "EEXIST") throw error;
  }
}

/** What is announced; undefined where nothing is, and empty where that may not be read: it can be replaced all the same. */
function said(assigned: string): string | undefined {
  try {
    return readRegularFile(assigned)?.toString();
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    if (systemCode(error) === "EACCES") return "";
    throw error;
  }
}
