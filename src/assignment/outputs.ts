// Publishing: the assignment is rendered into each output file, which is replaced only when it would change, and then
// its command runs. An output that fails is reported and does not stop the others; the assignment stays either way.

import * as fs from "node:fs";
import { dirname } from "node:path";
import { asMooringError, MooringError } from "../errors.ts";
import { groupId, userId } from "../system/accounts.ts";
import { fileFailure, removeFile, writeAtomic } from "../system/atomic-file.ts";
import { makeDirectories } from "../system/directories.ts";
import type { Log } from "../system/log.ts";
import { openUnlinked } from "../system/regular-file.ts";
import type { Assignment } from "./assignment.ts";
import type { OwedCommands } from "./owed.ts";
import { publishedEnvironment } from "./published.ts";
import { type Rendered, render } from "./render.ts";

/** One published file; the configuration's `[[outputs]]` have this shape. */
export interface OutputFile extends Rendered {
  readonly mode: number;
  readonly owner?: string;
  readonly group?: string;
  readonly onChange?: readonly string[];
}

export interface OutputResult {
  readonly path: string;
  /** `repaired`: the content was right, its mode or owner was not. */
  readonly status: "written" | "repaired" | "unchanged" | "removed" | "failed";
  /** Why it failed, or why its on_change command did. */
  readonly error?: MooringError;
}

interface OutputTools {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly owed: OwedCommands;
}

interface Owned {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** Publishes to every output. Rejects only with the signal's reason; failures are in the results, and logged. */
export async function publishOutputs(
  outputs: readonly OutputFile[],
  assignment: Assignment,
  tools: OutputTools,
): Promise<OutputResult[]> {
  return eachOutput(outputs, (output) => publish(output, assignment, tools), tools);
}

/** Removes every output, and runs its command without a word of an assignment. Failures as publishOutputs() has them. */
export async function withdrawOutputs(
  outputs: readonly OutputFile[],
  tools: OutputTools,
): Promise<OutputResult[]> {
  return eachOutput(outputs, (output) => remove(output, tools), tools);
}

async function eachOutput(
  outputs: readonly OutputFile[],
  act: (output: OutputFile) => Promise<OutputResult>,
  { log, signal }: OutputTools,
): Promise<OutputResult[]> {
  const results: OutputResult[] = [];
  for (const output of outputs) {
    const result = await act(output);
    signal.throwIfAborted();
    if (result.error)
      log.warn("output.failed", { path: result.path, code: result.error.code, error: result.error.message });
    else log.debug(`output.${result.status}`, { path: result.path });
    results.push(result);
  }
  return results;
}

async function publish(
  output: OutputFile,
  assignment: Assignment,
  tools: OutputTools,
): Promise<OutputResult> {
  const { path } = output;
  let status: OutputResult["status"] = "failed";
  try {
    const content = Buffer.from(render(output, assignment));
    const owned = ownership(output);
    const there = alreadyThere(path, content, owned);
    if (!there) noteCommand(output, tools);
    status = there ?? write(path, content, owned);
    await runOwedCommand(output, () => publishedEnvironment(assignment), tools);
    return { path, status };
  } catch (error) {
    return { path, status, error: explained(asMooringError(error)) };
  }
}

/** In a unit's sandbox the kernel refuses other owners and groups, whatever the configuration says. */
function explained(error: MooringError): MooringError {
  const { code, message, cause, details } = error;
  const isOwnership = cause instanceof Error && "syscall" in cause && cause.syscall === "fchown";
  if (!isOwnership) return error;
  const hint =
    "let it set owner and group: under systemd see group.conf.example in /usr/share/doc/mooring/examples";
  return new MooringError(code, message, { ...details, cause, hint });
}

async function remove(output: OutputFile, tools: OutputTools): Promise<OutputResult> {
  const { path } = output;
  try {
    const wasThere = fs.existsSync(path);
    if (wasThere) noteCommand(output, tools);
    removeFile(path);
    await runOwedCommand(output, () => ({}), tools);
    return { path, status: wasThere ? "removed" : "unchanged" };
  } catch (error) {
    const failure = error instanceof MooringError ? error : fileFailure("ERR_OUTPUT", "remove", path, error);
    return { path, status: "failed", error: failure };
  }
}

function noteCommand({ path, onChange }: OutputFile, { owed }: OutputTools): void {
  if (onChange) owed.note(path);
}

async function runOwedCommand(
  { path, onChange }: OutputFile,
  environment: () => Readonly<Record<string, string>>,
  { owed, signal }: OutputTools,
): Promise<void> {
  if (!onChange || !owed.has(path)) return;
  const { runCommand } = await import("./on-change.ts");
  await runCommand(onChange, { env: environment(), signal });
  owed.settle(path);
}

function ownership({ path, mode, owner, group }: OutputFile): Owned {
  const uid = owner === undefined ? undefined : userId(owner);
  const gid = group === undefined ? undefined : groupId(group);
  if (owner !== undefined && uid === undefined) {
    throw new MooringError("ERR_OUTPUT", `cannot write ${path}: there is no user ${owner}`, { path });
  }
  if (group !== undefined && gid === undefined) {
    throw new MooringError("ERR_OUTPUT", `cannot write ${path}: there is no group ${group}`, { path });
  }
  return { mode, ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) };
}

/** Whether it can be read there as it is. Never throws. */
export function isPublishedIn(output: OutputFile, assignment: Assignment): boolean {
  let fd: number | undefined;
  try {
    fd = openUnlinked(output.path);
    return holds(fd, Buffer.from(render(output, assignment)));
  } catch {
    return false;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function holds(fd: number, content: Buffer): boolean {
  const stat = fs.fstatSync(fd);
  return stat.isFile() && stat.size === content.length && fs.readFileSync(fd).equals(content);
}

/** A file that says the right thing already is not touched, but for an owner or mode that has drifted. */
function alreadyThere(path: string, content: Buffer, owned: Owned): "unchanged" | "repaired" | undefined {
  let fd: number;
  try {
    fd = openUnlinked(path);
  } catch {
    // Whatever is there will be replaced, or the writing says why not.
    return undefined;
  }
  try {
    if (!holds(fd, content)) return undefined;
    const stat = fs.fstatSync(fd);
    const { mode, uid = stat.uid, gid = stat.gid } = owned;
    if (stat.uid === uid && stat.gid === gid && (stat.mode & 0o7777) === mode) return "unchanged";
    fs.fchownSync(fd, uid, gid);
    fs.fchmodSync(fd, mode);
    return "repaired";
  } catch (error) {
    throw fileFailure("ERR_OUTPUT", "repair owner and mode of", path, error);
  } finally {
    fs.closeSync(fd);
  }
}

function write(path: string, content: Buffer, owned: Owned): "written" {
  try {
    makeDirectories(dirname(path), { mode: 0o755 });
  } catch (error) {
    throw fileFailure("ERR_OUTPUT", "create the directory of", path, error);
  }
  writeAtomic(path, content, { ...owned, failure: "ERR_OUTPUT" });
  return "written";
}
