// `mooring identity`: who this gateway is, in the words that an enrollment needs, and what it could be called.

import { type Command, Option } from "commander";
import type { Tools } from "../agent/connect.ts";
import { closeIdentity, type Identity, openIdentity } from "../agent/identity.ts";
import { loadConfig } from "../config/load.ts";
import { addFactsCommand } from "./identity-facts.ts";
import { type CommonOptions, commandTools, withCommonOptions } from "./options.ts";
import { printFacts, printJson, printLine } from "./output.ts";

export function addIdentityCommands(program: Command): void {
  const identity = program.command("identity").description("who this gateway is");
  withCommonOptions(identity.command("show"))
    .description("print registration id and public key or certificate facts, as the enrollment needs them")
    .addOption(
      new Option("--enroll [form]", "as an enrollment for whoever may create it")
        .choices(enrollForms)
        .preset("all"),
    )
    .addHelpText("after", showHelp)
    .action(async (options: CommonOptions & { enroll?: (typeof enrollForms)[number] }) => {
      const config = loadConfig(options.config);
      const tools = commandTools(options);
      const opened = await openIdentity(config, tools);
      try {
        if (options.enroll !== undefined) {
          const { printDeviceEnrollment, enrollmentOf } = await import("./operator.ts");
          return await printDeviceEnrollment(enrollmentOf(opened), options.enroll, options);
        }
        const facts = await identityFacts(opened, tools);
        if (options.json) printJson(facts);
        else printIdentity(facts);
      } finally {
        await closeIdentity(opened);
      }
    });
  addFactsCommand(identity);
}

const enrollForms = ["json", "az", "qr", "all"] as const;

const showHelp = `
Talks to the TPM or reads the certificate, never to the network. Creates the TPM's endorsement and
storage root keys at their usual handles when they are missing. Prints nothing secret.

With --enroll, what a person or a program needs to enroll this gateway, in one form or all:
  json   the body of PUT /enrollments/ID of the service API; \`mooring enrollment import\` takes it too
  az     a command for the Azure CLI with its azure-iot extension
  qr     a QR code that holds the same JSON in one line, with a certificate as base64 of DER: to be
         photographed off a console that nothing can be copied from
Example:
  $ mooring identity show --enroll json > gw-0001.json`;

type IdentityFacts = Readonly<Record<string, unknown>>;

async function identityFacts(identity: Identity, tools: Tools): Promise<IdentityFacts> {
  const { source, attestation, registrationId, publicKeySha256 } = identity;
  const common = { source, attestation, registrationId };
  if (identity.source === "x509") return { ...common, publicKeySha256, certificate: identity.facts };
  if (identity.source === "symmetric-key") return common;
  const { endorsementCertificateFacts } = await import("../identity/endorsement-certificate.ts");
  const certificate = await endorsementCertificateFacts(identity, tools);
  return {
    ...common,
    endorsementKey: identity.endorsementKey.toString("base64"),
    endorsementKeySha256: publicKeySha256,
    storageRootKey: identity.storageRootKey.toString("base64"),
    endorsementCertificate: certificate ?? null,
    tpm: await identity.tpm.describe(),
  };
}

function printIdentity(facts: IdentityFacts): void {
  const nested = Object.entries(facts).filter(([, value]) => typeof value === "object" && value !== null);
  const flat = Object.entries(facts).filter(([, value]) => typeof value !== "object");
  printFacts(Object.fromEntries(flat.map(([name, value]) => [words(name), String(value)])));
  for (const [name, value] of nested) {
    printLine(`\n${words(name)}`);
    printFacts(
      Object.fromEntries(
        Object.entries(value as object).map(([key, fact]) => [`  ${words(key)}`, String(fact)]),
      ),
    );
  }
}

/** `endorsementKey` → `endorsement key`. */
const words = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
