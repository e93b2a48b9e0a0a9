// `roll-certificate`: the one way to change how a device or a group proves itself. Both certificates are taken until the
// roll is finished, so that no device is left without one.

import type { Command } from "commander";
import { thumbprint } from "../enrollment/comparison.ts";
import type { AttestationMechanism, CertificatePair } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { enrolledCertificate } from "./enrollment-input.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { reportEnrollment } from "./enrollment-output.ts";
import { change, type Guarded, ifMatchHelp } from "./enrollment-update.ts";
import { withServiceClient, withServiceOptions } from "./service-client.ts";

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
