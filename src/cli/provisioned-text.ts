// What came of provisioning or rolling back, told to people and scripts.

import type { Provisioned } from "../agent/provision.ts";
import type { CommonOptions } from "./options.ts";
import { paint, printFacts, printJson, printLine, reportError } from "./output.ts";

const sentences = {
  kept: "Still assigned.",
  assigned: "Assigned.",
  "rolled-back": "Back to what was before.",
};

type Outcome = keyof typeof sentences;

/** Prints it; an output that failed sets the exit code. */
export function tell(
  options: CommonOptions,
  done: Provisioned,
  outcome: Outcome,
  onChange?: "auto" | "ask",
): void {
  if (options.json) printJson(provisionedJson(done, outcome));
  else printProvisioned(done, outcome, onChange === "auto" ? changeBack : registerAgain);
  const failed = done.outputs.find(({ error }) => error)?.error;
  if (failed) process.exitCode = reportError(failed, { json: false, verbose: options.verbose ?? false });
}

type Advice = (because: string) => string;

const registerAgain: Advice = (because) => `\`mooring reprovision\` would register again: ${because}.`;

const changeBack: Advice = (because) =>
  `This gateway will soon register again: ${because}. To stay, change the configuration back.`;

/** The assignment's own fields at the top, then what this run did. */
const provisionedJson = (
  { assignment, trigger, pending, outputs }: Provisioned,
  outcome: Outcome,
): Record<string, unknown> => ({
  ...assignment,
  outcome,
  ...(trigger !== undefined && { trigger }),
  ...(pending && { pending }),
  outputs: outputs.map(({ path, status, error }) => ({
    path,
    status,
    ...(error && { code: error.code, error: error.message }),
  })),
});

function printProvisioned(
  { assignment, pending, outputs }: Provisioned,
  outcome: Outcome,
  advice: Advice,
): void {
  const { assignedHub, deviceId, registrationId, idScope, attestation, transport, substatus, assignedAt } =
    assignment;
  printLine(paint("green", sentences[outcome]));
  if (pending) printLine(paint("yellow", advice(pending.because)));
  printFacts({
    hub: assignedHub,
    "device id": deviceId,
    "registration id": registrationId,
    "id scope": idScope,
    attestation,
    transport,
    substatus,
    since: assignedAt,
    ...Object.fromEntries(
      outputs.map(({ path, status }, index) => [`output ${index + 1}`, `${path} (${status})`]),
    ),
  });
}
