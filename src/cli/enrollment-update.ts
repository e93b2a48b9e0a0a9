// `update` and `roll-certificate`. Everything of an enrollment can be changed but how the device proves itself; that
// has one way of its own, which never leaves a device without a certificate that is taken.

import { type Command, Option } from "commander";
import { thumbprint } from "../enrollment/comparison.ts";
import { withCredential } from "../enrollment/import.ts";
import type { AnyEnrollment, AttestationMechanism, CertificatePair } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { type AttestationOptions, enrolledCertificate } from "./enrollment-input.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { reportEnrollment } from "./enrollment-output.ts";
import {
  isSomethingGiven,
  type SettingOptions,
  settingsFrom,
  settingsHelp,
  withSettings,
} from "./enrollment-settings.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

interface Guarded extends ServiceOptions {
  readonly ifMatch?: string;
}

interface UpdateOptions extends Guarded, SettingOptions, AttestationOptions {
  readonly deviceId?: string;
}

export const ifMatchHelp = "only if this is still its version; `show --json` prints it";

export function addUpdate(command: Command, kind: CommandKind): void {
  if (kind.command === "enrollment") command.option("--device-id <id>", "its name at the hub");
  withSettings(command.argument("<id>", `the ${kind.noun}`))
    .description("change what is given, and nothing else")
    .option("--any-hub", "let the service choose among all linked hubs again")
    .option("--if-match <etag>", ifMatchHelp)
    .addHelpText("after", `${settingsHelp}\n${credentialHelp(kind)}`);
  // Known, to be refused with the reason.
  for (const flags of [
    "--endorsement-key <base64>",
    "--certificate <file>",
    "--symmetric-key",
    "--symmetric-key-file <file>",
  ])
    command.addOption(new Option(flags).hideHelp());
  command.action((id: string, options: UpdateOptions) => update(id, options, kind));
}

const credentialHelp = ({ command }: CommandKind): string => `
How it proves itself is never changed: a certificate is rolled over with \`mooring ${command} roll-certificate\`;
anything else is another ${command === "enrollment" ? "device" : "group"}, to be deleted and created anew.`;

async function update(id: string, options: UpdateOptions, kind: CommandKind): Promise<void> {
  const { deviceId, endorsementKey, certificate, symmetricKey, symmetricKeyFile } = options;
  if ([endorsementKey, certificate, symmetricKey, symmetricKeyFile].some((way) => way !== undefined)) {
    throw new MooringError("ERR_USAGE", "an update never changes how a device proves itself", {
      hint: `roll a certificate over with \`mooring ${kind.command} roll-certificate\`; for anything else delete the ${kind.noun} and create it anew`,
    });
  }
  if (deviceId === undefined && !isSomethingGiven(options))
    throw new MooringError("ERR_USAGE", "nothing to change was given");
  const updated = await withServiceClient(options, (client, { signal }) =>
    change(id, kind, client, { ifMatch: options.ifMatch, signal }, (before) => ({
      ...settingsFrom(options, before),
      ...(deviceId !== undefined && { deviceId }),
    })),
  );
  reportEnrollment(updated, `${kind.noun} ${id} updated`, options);
}

type Client = Parameters<CommandKind["of"]>[0];

/** Reads, changes and writes back, if nobody else changed it meanwhile. */
async function change(
  id: string,
  kind: CommandKind,
  client: Client,
  { ifMatch, signal }: { ifMatch: string | undefined; signal: AbortSignal },
  changes: (before: AnyEnrollment) => Record<string, unknown> | Promise<Record<string, unknown>>,
): Promise<AnyEnrollment> {
  const enrollments = kind.of(client);
  const before = await enrollments.get(id, { signal });
  const changed = await changes(before);
  const row = await withCredential(enrollments, before, { signal });
  return enrollments.put(id, kind.row(kind.idOf(before), { ...row, ...changed }), {
    signal,
    ifMatch: ifMatch ?? before.etag,
  });
}

interface RollOptions extends Guarded {
  readonly certificate?: string;
  readonly finish?: boolean;
}

export function addRollCertificate(command: Command, kind: CommandKind): void {
  withServiceOptions(command.argument("<id>", `the ${kind.noun}`))
    .description("replace its certificate by a new one, with both valid in between")
    .option("--certificate <file>", "the new one, PEM or DER; it becomes primary, the old one secondary")
    .option("--finish", "drop the old one, once every device has the new one")
    .option("--if-match <etag>", ifMatchHelp)
    .addHelpText("after", rollHelp(kind))
    .action((id: string, options: RollOptions) => roll(id, options, kind));
}

const rollHelp = ({ command }: CommandKind): string => `
Examples, before and after the new certificate is on the ${command === "enrollment" ? "device" : "devices"}:
  $ mooring ${command} roll-certificate ID --certificate new.pem
  $ mooring ${command} roll-certificate ID --finish
With both options the old secondary goes and the next roll begins. To go back, roll to the old certificate.
The hub learns of a new device certificate when the device registers again (\`mooring reprovision\`).`;

async function roll(id: string, options: RollOptions, kind: CommandKind): Promise<void> {
  const { certificate, finish = false } = options;
  if (certificate === undefined && !finish)
    throw new MooringError("ERR_USAGE", "give the new --certificate, or --finish, or both");
  const next = certificate === undefined ? undefined : enrolledCertificate(certificate);
  const rolled = await withServiceClient(options, (client, { signal }) =>
    change(id, kind, client, { ifMatch: options.ifMatch, signal }, async ({ attestation }) => {
      const shown = attestation.x509?.[kind.certificates];
      if (!shown) throw nothingToRoll(id, kind, attestation);
      // Where the service gives back what it was given, the old certificate can be sent whole.
      const whole = await kind.of(client).attestation(id, { signal });
      const pair = whole.x509?.[kind.certificates] ?? shown;
      const one = finish ? finished(pair, id) : pair;
      return { attestation: withPair(kind, next ? begun(one, next, id) : one) };
    }),
  );
  const what = next ? "has the new certificate as primary, the old one as secondary" : "has one certificate";
  reportEnrollment(rolled, `${kind.noun} ${id} ${what}`, options);
}

const nothingToRoll = (id: string, { noun }: CommandKind, { type }: AttestationMechanism): MooringError =>
  new MooringError("ERR_USAGE", `${noun} ${id} has no certificate to roll: its attestation is ${type}`);

const withPair = ({ certificates }: CommandKind, pair: CertificatePair): AttestationMechanism => ({
  type: "x509",
  x509: { [certificates]: pair },
});

function finished({ primary, secondary }: CertificatePair, id: string): CertificatePair {
  if (!secondary)
    throw new MooringError("ERR_USAGE", `there is nothing to finish: ${id} has one certificate`);
  return { primary };
}

function begun(
  { primary, secondary }: CertificatePair,
  next: CertificatePair["primary"],
  id: string,
): CertificatePair {
  const [old, other, now] = [primary, secondary, next].map(thumbprint);
  if (old === now) throw new MooringError("ERR_USAGE", `the certificate is the primary one of ${id} already`);
  if (other !== undefined && other !== now) {
    throw new MooringError(
      "ERR_USAGE",
      `${id} is rolling already: its secondary certificate ${other} would be lost`,
      {
        hint: "add --finish to drop that one, once no device uses it",
      },
    );
  }
  return { primary: next, secondary: primary };
}
