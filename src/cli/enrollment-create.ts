// `enrollment create` and `enrollment-group create`.

import { type Command, Option } from "commander";
import type { Enrollments } from "../enrollment/client.ts";
import { ifThere } from "../enrollment/if-there.ts";
import type { AnyEnrollment } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { type AttestationOptions, attestationFrom } from "./enrollment-input.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { reportEnrollment } from "./enrollment-output.ts";
import { type SettingOptions, settingsFrom, settingsHelp, withSettings } from "./enrollment-settings.ts";
import { commandTools, withConfigOption } from "./options.ts";
import { type ServiceOptions, withServiceClient } from "./service-client.ts";
import { readThisDevice } from "./this-device.ts";

interface CreateOptions extends ServiceOptions, SettingOptions, AttestationOptions {
  readonly config: string;
  readonly thisDevice?: boolean;
  readonly registrationId?: string;
  readonly groupId?: string;
  readonly deviceId?: string;
}

export function addCreate(command: Command, kind: CommandKind): void {
  const subject = kind.command === "enrollment" ? forDevice(command) : forGroup(command);
  withSettings(
    subject
      .option("--symmetric-key", "a key that the service makes; `show --keys` prints it")
      .option("--symmetric-key-file <file>", "base64 key, and a second one on the next line if there is one"),
  )
    .addHelpText("after", settingsHelp + (kind.command === "enrollment" ? deviceExamples : groupExamples))
    .action((options: CreateOptions) => create(options, kind));
}

const forDevice = (command: Command): Command =>
  withConfigOption(
    command
      .description("let one device register")
      .option(
        "--this-device",
        "the gateway that this runs on: its id and its TPM or certificate, by its configuration",
      )
      .option("--registration-id <id>", "its name; `mooring identity show` prints it")
      .option("--endorsement-key <base64>", "of its TPM; `mooring identity show` prints it")
      .option("--certificate <file>", "its certificate, PEM or DER; the CN must be the registration id")
      .option("--secondary-certificate <file>", "one that is valid as well, to roll over to")
      .option("--device-id <id>", "its name at the hub, if that is another"),
  );

const forGroup = (command: Command): Command =>
  command
    .description("let all devices of a CA or a group key register")
    .requiredOption("--group-id <id>", "name of the group")
    .option("--certificate <file>", "the CA that signs the devices' certificates, PEM or DER")
    .option("--secondary-certificate <file>", "a second CA, to roll over to")
    // Known, to be refused with the reason.
    .addOption(new Option("--endorsement-key <base64>").hideHelp());

const deviceExamples = `

Examples, on the gateway, then on the operator's machine:
  $ mooring identity show
  $ mooring enrollment create --registration-id gw-0001 --endorsement-key AToAAQ…  \\
      --service-file dps/connection-string --ca-file dps/ca.pem
Both in one, on the gateway:
  $ mooring enrollment create --this-device --service-file /run/connection-string`;

const groupExamples = `

Example:
  $ mooring enrollment-group create --group-id plant-7 --certificate ca.pem --hub a.example --hub b.example`;

async function create(options: CreateOptions, kind: CommandKind): Promise<void> {
  const { id, attestation } = await subjectOf(options, kind);
  const row = kind.row(id, {
    attestation,
    ...settingsFrom(options),
    ...(options.deviceId !== undefined && { deviceId: options.deviceId }),
  });
  const created = await withServiceClient(options, async (client, { signal }) => {
    await createNew(kind, kind.of(client), row, { signal });
    return kind.of(client).get(id, { signal });
  });
  reportEnrollment(created, `${kind.noun} ${id} created`, options);
}

async function subjectOf(
  options: CreateOptions,
  kind: CommandKind,
): Promise<Pick<AnyEnrollment, "attestation"> & { id: string }> {
  const given = options[kind.idOption];
  if (kind.command === "enrollment-group" && options.endorsementKey !== undefined) {
    throw new MooringError(
      "ERR_USAGE",
      "an endorsement key is that of one TPM, and a group is of many devices",
      {
        hint: "enroll each TPM by itself: `mooring enrollment create`, or `mooring enrollment import` for thousands",
      },
    );
  }
  if (!options.thisDevice) {
    if (given === undefined)
      throw new MooringError("ERR_USAGE", "which one? give --registration-id, or --this-device");
    return { id: given, attestation: attestationFrom(options, kind.certificates) };
  }
  const ways = [
    "endorsementKey",
    "certificate",
    "secondaryCertificate",
    "symmetricKey",
    "symmetricKeyFile",
  ] as const;
  if (ways.some((way) => options[way] !== undefined))
    throw new MooringError("ERR_USAGE", "--this-device reads key or certificate itself; give none beside it");
  const { registrationId, attestation } = await readThisDevice(options, commandTools({}));
  if (given !== undefined && given.toLowerCase() !== registrationId.toLowerCase()) {
    throw new MooringError(
      "ERR_USAGE",
      `this device is ${registrationId}, and --registration-id says ${given}`,
    );
  }
  return { id: registrationId, attestation };
}

/** A name that is taken is said in our words; there are other conflicts, such as a quota. */
async function createNew(
  { noun, idOf }: CommandKind,
  enrollments: Enrollments<AnyEnrollment>,
  row: AnyEnrollment,
  waiting: { signal: AbortSignal },
): Promise<void> {
  try {
    await enrollments.create(row, waiting);
  } catch (cause) {
    const isConflict = cause instanceof MooringError && cause.code === "ERR_ENROLLMENT_CONFLICT";
    if (!isConflict || (await ifThere(enrollments.get(idOf(row), waiting))) === undefined) throw cause;
    throw new MooringError("ERR_ENROLLMENT_CONFLICT", `there is an ${noun} ${idOf(row)} already`, {
      hint: "change it with `update`, or `delete` it first",
    });
  }
}
