// Where things lie in the state directory: generations by number, and the link `current` that names one of them.

import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { systemCode } from "../errors.ts";
import { fileFailure, syncDirectory } from "../system/atomic-file.ts";

export const generationsIn = (stateDirectory: string): string => join(stateDirectory, "generations");

export const nameOf = (number: number): string => String(number).padStart(6, "0");

export const directoryOf = (stateDirectory: string, number: number): string =>
  join(generationsIn(stateDirectory), nameOf(number));

export const numberOf = (name: string): number | undefined =>
  /^\d{6,15}$/.test(name) ? Number(name) : undefined;

/** Numbers of the generations that are there, newest first. */
export function numbersIn(stateDirectory: string): number[] {
  return namesIn(generationsIn(stateDirectory))
    .flatMap((name) => numberOf(name) ?? [])
    .sort((a, b) => b - a);
}

/** What lies in a directory of the state; nothing when it is not there. */
export const namesIn = (directory: string): string[] =>
  ifThere(directory, (path) => fs.readdirSync(path)) ?? [];

/** The number that `current` names, whether that generation is there or not. */
export function linkedNumber(stateDirectory: string): number | undefined {
  const target = ifThere(join(stateDirectory, "current"), (path) => fs.readlinkSync(path));
  return target === undefined ? undefined : numberOf(basename(target));
}

/** The flip: a new link takes the old one's place in one rename. */
export function linkCurrent(stateDirectory: string, number: number): void {
  const temporary = join(stateDirectory, ".current.new");
  fs.rmSync(temporary, { force: true });
  fs.symlinkSync(join("generations", nameOf(number)), temporary);
  fs.renameSync(temporary, join(stateDirectory, "current"));
  syncDirectory(stateDirectory);
}

/** The mode holds whatever the umask is; a directory that is there stays as it is. */
export function makeDirectory(path: string, mode: number): void {
  try {
    fs.mkdirSync(path, { mode });
  } catch (error) {
    if (systemCode(error) === "EEXIST") return;
    throw error;
  }
  fs.chmodSync(path, mode);
  syncDirectory(dirname(path));
}

/** Runs `work`; the file system's refusals come out as ERR_STATE_DIRECTORY or ERR_STATE_FULL. */
export function onDisk<Result>(act: string, path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw fileFailure("ERR_STATE_DIRECTORY", act, path, error);
  }
}

/** Undefined when there is nothing, or something of another kind, at the path. */
function ifThere<Result>(path: string, look: (path: string) => Result): Result | undefined {
  try {
    return look(path);
  } catch (error) {
    if (["ENOENT", "EINVAL", "ENOTDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw fileFailure("ERR_STATE_DIRECTORY", "read", path, error);
  }
}
