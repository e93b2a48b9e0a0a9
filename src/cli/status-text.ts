// A status as people read it: the three answers first, then what the assignment is, then what happened and what comes.
// Pure.

import type { Decision } from "../agent/decide.ts";
import type { Status } from "../agent/status.ts";
import type { Row } from "./output.ts";

/** Names and texts of the lines, in groups. `now`: milliseconds since 1970. */
export function statusRows(status: Status, now: number): readonly (readonly Row[])[] {
  return [
    [agentRow(status, now), identityRow(status), confirmedRow(status, now)],
    assignmentRows(status),
    [...clockRow(status), ...failureRows(status, now), decisionRow(status)],
  ].filter((group) => group.length > 0);
}

function agentRow({ alive: { running, activity, pid, since } }: Status, now: number): Row {
  if (!running) return ["agent", "not running"];
  const about = [
    ...(pid === undefined ? [] : [`process ${pid}`]),
    ...(since === undefined ? [] : [sinceText(since, now)]),
  ].join(", ");
  return [
    "agent",
    `running, ${activity ? activities[activity] : "at work"}${about && ` (${about})`}`,
    "green",
  ];
}

const activities = {
  starting: "starting",
  provisioning: "provisioning",
  waiting: "waiting",
  resting: "resting",
  stopped: "waiting for a change",
};

function identityRow({ usable: { yes, because, assignment } }: Status): Row {
  if (yes && assignment) return ["identity", `${assignment.deviceId} at ${assignment.assignedHub}`, "green"];
  return ["identity", `none to use: ${because}`, "red"];
}

function confirmedRow({ confirmed: { at, by, because } }: Status, now: number): Row {
  if (at === undefined) return ["confirmed", `never: ${because}`, "yellow"];
  const when = `by the ${by}, ${ago(at, now)} (${plainTime(at)})`;
  return because === undefined
    ? ["confirmed", when]
    : ["confirmed", `${when}; since then: ${because}`, "red"];
}

function assignmentRows({ usable: { assignment, generation, certificateDaysLeft } }: Status): Row[] {
  if (!assignment) return [];
  const { assignedHub, deviceId, registrationId, idScope, attestation, transport, substatus } = assignment;
  const { hubKey } = assignment;
  return [
    ["hub", assignedHub],
    ["device id", deviceId],
    ["registration id", registrationId],
    ["id scope", idScope],
    ["attestation", attestation],
    ...(certificateDaysLeft === undefined ? [] : [certificateRow(certificateDaysLeft)]),
    ...(hubKey ? [["hub key", `in the TPM at 0x${hubKey.handle.toString(16)}`] as const] : []),
    ["transport", transport],
    ...(substatus === undefined ? [] : [["substatus", substatus] as const]),
    ["generation", String(generation)],
  ];
}

const soonDays = 30;

function certificateRow(days: number): Row {
  const count = (n: number): string => (n === 1 ? "1 day" : `${n} days`);
  if (days < 0) return ["certificate", `ended ${count(-days)} ago`, "red"];
  const text = `${count(days)} left`;
  return days < soonDays ? ["certificate", text, "yellow"] : ["certificate", text];
}

const clockRow = ({ clock }: Status): Row[] =>
  clock === "plausible" ? [] : [["clock", "cannot be right; see `timedatectl status`", "yellow"]];

function failureRows({ lastFailure, trouble }: Status, now: number): Row[] {
  return [
    ...(lastFailure
      ? [failureRow("last failure", lastFailure, `${ago(lastFailure.at, now)}, `), nextRow(lastFailure)]
      : []),
    ...(trouble ? [failureRow("trouble", trouble), nextRow(trouble)] : []),
  ];
}

type Failure = NonNullable<Status["trouble"]>;

function failureRow(name: string, { code, message, serviceErrorCode, trackingId }: Failure, when = ""): Row {
  const ids = [
    ...(serviceErrorCode === undefined ? [] : [`service errorCode ${serviceErrorCode}`]),
    ...(trackingId === undefined ? [] : [`tracking id ${trackingId}`]),
  ].join(", ");
  return [name, `${when}${code}: ${message}${ids && ` (${ids})`}`, "red"];
}

const nextRow = ({ hint }: Failure): Row => ["  to do", hint, "bold"];

function decisionRow({ alive, decision, nextAttempt }: Status): Row {
  const does = nextAttempt ? `tries again ${within(nextAttempt.inMs)}` : "waits";
  if (!decision) return ["next", "nothing before the trouble is mended", "yellow"];
  switch (decision.act) {
    case "keep":
      return keepRow(decision, nextAttempt);
    case "provision":
    case "withdraw":
      return [
        "next",
        `${alive.running ? "the agent is at it" : "`mooring provision` would register"}: ${decision.because}`,
        "yellow",
      ];
    case "wait":
      return ["next", `${does}: ${decision.because}`, "yellow"];
    case "stop":
      return [
        "next",
        `nothing before configuration or identity change, or \`mooring reprovision\` (${decision.code}): ${decision.because}`,
        "red",
      ];
  }
}

function keepRow({ pending }: Extract<Decision, { act: "keep" }>, nextAttempt: Status["nextAttempt"]): Row {
  if (pending)
    return [
      "next",
      `\`mooring reprovision\` would register, and waits for you to say so: ${pending.because}`,
      "yellow",
    ];
  const later = nextAttempt ? `; looks again ${within(nextAttempt.inMs)}: ${nextAttempt.because}` : "";
  return ["next", `nothing: the assignment fits the configuration${later}`, "green"];
}

const plainTime = (iso: string): string => `${iso.slice(0, 19).replace("T", " ")} UTC`;

/** A clock that was set meanwhile tells nothing. */
const sinceText = (iso: string, now: number): string => {
  const ms = now - Date.parse(iso);
  return ms < 0 ? `since ${plainTime(iso)}` : `for ${span(ms)}`;
};

function ago(iso: string, now: number): string {
  const ms = now - Date.parse(iso);
  if (ms < 0) return "in the future, by this clock";
  return ms < 1000 ? "just now" : `${span(ms)} ago`;
}

const within = (ms: number): string => (ms < 1000 ? "now" : `in ${span(ms)}`);

const units = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1000, "s"],
] as const;

/** The largest unit of which there are at least two: `90 s`, `36 h`, `12 d`. */
function span(ms: number): string {
  const [unitMs, unit] = units.find(([size]) => ms >= 2 * size) ?? [1000, "s"];
  return `${Math.round(ms / unitMs)} ${unit}`;
}
