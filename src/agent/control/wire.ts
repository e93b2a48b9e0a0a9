// What the daemon and its clients say to one another over the control socket, one JSON object a line: the daemon
// greets, the client asks once, events follow, and `done` or `error` is the last line.

import { errorJson, errorTable, MooringError } from "../../errors.ts";
import type { Fields, Log } from "../../system/log.ts";
import type { Provisioned } from "../provision.ts";
import type { Status } from "../status.ts";

/** Raised when a line changes its meaning. */
export const protocol = 1;

export interface Greeting {
  readonly mooring: typeof protocol;
  readonly version: string;
  readonly pid: number;
  /** Whose daemon this is: a client that works on another state is in the wrong place. */
  readonly stateDirectory: string;
}

/** `wait: false` asks for acceptance only; what comes of it is in the status. */
export type Request =
  | { readonly do: "status" | "wait" | "rollback" }
  | { readonly do: "provision" | "reprovision"; readonly wait: boolean };

export interface Accepted {
  readonly accepted: true;
}

export interface Answers {
  status: Status;
  wait: Status;
  provision: Provisioned | Accepted;
  reprovision: Provisioned | Accepted;
  rollback: Provisioned;
}

/** One event of the daemon's log. */
export interface Progress {
  readonly level: keyof Log;
  readonly event: string;
  readonly fields: Fields;
}

export type Line =
  | { readonly event: Progress }
  | { readonly done: unknown }
  | { readonly error: ReturnType<typeof errorJson> };

/** Errors in an answer travel as what `--json` prints of them. */
export const encodeAnswer = (answer: object): string =>
  JSON.stringify(answer, (_name, value) => (value instanceof MooringError ? errorJson(value) : value));

export const encodeLine = (line: Greeting | Request | Line): string => `${encodeAnswer(line)}\n`;

/** An object, or undefined for anything else. */
export function decodeLine(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The error of an answer, as if it had been thrown here. */
export function decodeError(value: unknown): MooringError {
  const { code, message, retry: _retry, exitCode: _exitCode, ...details } = Object(value);
  const text = typeof message === "string" ? message : "it did not say why";
  if (typeof code === "string" && Object.hasOwn(errorTable, code))
    return new MooringError(code as keyof typeof errorTable, text, details);
  return new MooringError("ERR_CONTROL_PROTOCOL", `the daemon answered ${String(code)}: ${text}`);
}

/** `provision`, `reprovision` and `rollback` answers: the errors of outputs are errors again. */
export const decodeProvisioned = (value: unknown): Provisioned => {
  const provisioned = value as Provisioned;
  const outputs = provisioned.outputs.map(({ error, ...output }) => ({
    ...output,
    ...(error !== undefined && { error: decodeError(error) }),
  }));
  return { ...provisioned, outputs };
};

/** Cuts what comes in, piece by piece, into lines; undefined when one is longer than `limit` bytes. */
export function lineCutter(limit: number): (piece: Buffer) => string[] | undefined {
  let begun: Buffer[] = [];
  let size = 0;
  return (piece) => {
    const lines: string[] = [];
    let rest = piece;
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      if (size + end > limit) return undefined;
      lines.push(Buffer.concat([...begun, rest.subarray(0, end)]).toString());
      begun = [];
      size = 0;
      rest = rest.subarray(end + 1);
    }
    if (rest.length > 0) begun.push(rest);
    size += rest.length;
    return size > limit ? undefined : lines;
  };
}
