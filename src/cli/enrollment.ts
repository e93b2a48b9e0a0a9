// `mooring enrollment …` and `mooring enrollment-group …`: who may register, at the local service or at Azure.

import { type Command, Option } from "commander";
import type { Enrollments, ServiceClient } from "../enrollment/client.ts";
import type { EnrollmentGroup, IndividualEnrollment } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import {
  type AttestationOptions,
  attestationFrom,
  type SettingOptions,
  settingsFrom,
} from "./enrollment-input.ts";
import { printEnrollment, printRows, withoutKeys } from "./enrollment-output.ts";
import { paint, printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

type Row = IndividualEnrollment | EnrollmentGroup;

/** What differs between the two command groups. */
interface Kind<R extends Row> {
  readonly noun: string;
  readonly idOption: "registrationId" | "groupId";
  readonly certificates: "clientCertificates" | "signingCertificates";
  readonly of: (client: ServiceClient) => Enrollments<R>;
  readonly idOf: (row: R) => string;
  readonly row: (id: string, members: Record<string, unknown>) => R;
}

const individual: Kind<IndividualEnrollment> = {
  noun: "enrollment",
  idOption: "registrationId",
  certificates: "clientCertificates",
  of: (client) => client.enrollments,
  idOf: (row) => row.registrationId,
  row: (registrationId, members) => ({ ...members, registrationId }) as IndividualEnrollment,
};

const group: Kind<EnrollmentGroup> = {
  noun: "enrollment group",
  idOption: "groupId",
  certificates: "signingCertificates",
  of: (client) => client.enrollmentGroups,
  idOf: (row) => row.enrollmentGroupId,
  row: (enrollmentGroupId, members) => ({ ...members, enrollmentGroupId }) as EnrollmentGroup,
};

interface WriteOptions extends ServiceOptions, SettingOptions, AttestationOptions {
  readonly registrationId?: string;
  readonly groupId?: string;
  readonly deviceId?: string;
}

export function addEnrollmentCommands(program: Command): void {
  const devices = program.command("enrollment").description("devices that may register, each by itself");
  const groups = program
    .command("enrollment-group")
    .description("devices that may register because a CA or a group key vouches for them");

  const createDevice = devices
    .command("create")
    .description("let one device register")
    .requiredOption("--registration-id <id>", "its name; `mooring identity show` prints it")
    .option("--endorsement-key <base64>", "of its TPM; `mooring identity show` prints it")
    .option("--certificate <file>", "its certificate, PEM or DER; the CN must be the registration id")
    .option("--secondary-certificate <file>", "one that is valid as well, to roll over to")
    .option("--device-id <id>", "its name at the hub, if that is another")
    .addHelpText("after", createHelp);
  const createGroup = groups
    .command("create")
    .description("let all devices of a CA or a group key register")
    .requiredOption("--group-id <id>", "name of the group")
    .option("--certificate <file>", "the CA that signs the devices' certificates, PEM or DER")
    .option("--secondary-certificate <file>", "a second CA, to roll over to");
  addCreate(createDevice, individual);
  addCreate(createGroup, group);
  addUpdate(devices.command("update").option("--device-id <id>", "its name at the hub"), individual);
  addUpdate(groups.command("update"), group);
  for (const [commands, kind] of [
    [devices, individual],
    [groups, group],
  ] as const) {
    addShow(commands, kind as Kind<Row>);
    addList(commands, kind as Kind<Row>);
    addDelete(commands, kind as Kind<Row>);
  }
}

const createHelp = `
Example, on the gateway and then on the operator's machine:
  $ mooring identity show
  $ mooring enrollment create --registration-id gw-0001 --endorsement-key AToAAQ…  \\
      --service-file dps/connection-string --ca-file dps/ca.pem`;

const withSettings = (command: Command): Command =>
  withServiceOptions(
    command
      .option("--hub <host>", "hub to assign, in place of the service's choice")
      .option("--initial-twin <file>", "JSON with tags and properties.desired for the device's twin")
      .addOption(new Option("--status <status>", "whether it may register").choices(["enabled", "disabled"])),
  );

function addCreate<R extends Row>(command: Command, kind: Kind<R>): void {
  withSettings(
    command
      .option("--symmetric-key", "a key that the service makes; `show --keys` prints it")
      .option("--symmetric-key-file <file>", "base64 key, and a second one on the next line if there is one"),
  ).action(async (options: WriteOptions) => {
    const id = options[kind.idOption] ?? "";
    const { deviceId } = options;
    const row = kind.row(id, {
      attestation: attestationFrom(options, kind.certificates),
      ...settingsFrom(options),
      ...(deviceId !== undefined && { deviceId }),
    });
    const created = await withServiceClient(options, async (client, waiting) => {
      await refuseExisting(kind, kind.of(client), id, waiting);
      return kind.of(client).put(id, row, waiting);
    });
    report(withoutKeys(created), `${kind.noun} ${id} created`, options);
  });
}

/** PUT would replace it without a word. */
async function refuseExisting<R extends Row>(
  { noun }: Kind<R>,
  enrollments: Enrollments<R>,
  id: string,
  waiting: { signal: AbortSignal },
): Promise<void> {
  try {
    await enrollments.get(id, waiting);
  } catch (error) {
    if (error instanceof MooringError && error.code === "ERR_ENROLLMENT_NOT_FOUND") return;
    throw error;
  }
  throw new MooringError("ERR_ENROLLMENT_CONFLICT", `there is an ${noun} ${id} already`, {
    hint: "change it with `update`, or `delete` it first",
  });
}

function addUpdate<R extends Row>(command: Command, kind: Kind<R>): void {
  withSettings(command.argument("<id>", `the ${kind.noun}`))
    .description("change what is given, and nothing else")
    .action(async (id: string, options: WriteOptions) => {
      const { deviceId } = options;
      const changes = { ...settingsFrom(options), ...(deviceId !== undefined && { deviceId }) };
      if (Object.keys(changes).length === 0)
        throw new MooringError("ERR_USAGE", "nothing to change was given");
      const updated = await withServiceClient(options, async (client, waiting) => {
        const before = await kind.of(client).get(id, waiting);
        return kind.of(client).put(id, kind.row(kind.idOf(before), { ...before, ...changes }), {
          ...waiting,
          ifMatch: before.etag,
        });
      });
      report(withoutKeys(updated), `${kind.noun} ${id} updated`, options);
    });
}

function addShow<R extends Row>(commands: Command, kind: Kind<R>): void {
  withServiceOptions(commands.command("show").argument("<id>", `the ${kind.noun}`))
    .description("print one, and what became of its device")
    .option("--keys", "with its symmetric keys")
    .action(async (id: string, options: ServiceOptions & { keys?: boolean }) => {
      const row = await withServiceClient(options, async (client, waiting) => {
        const shown = await kind.of(client).get(id, waiting);
        if (!options.keys) return withoutKeys(shown);
        return { ...shown, attestation: await kind.of(client).attestation(id, waiting) };
      });
      report(row, undefined, options);
    });
}

function addList<R extends Row>(commands: Command, kind: Kind<R>): void {
  withServiceOptions(commands.command("list"))
    .description("print all of them")
    .action(async (options: ServiceOptions) => {
      const rows = await withServiceClient(options, async (client, waiting) => {
        const all: R[] = [];
        for await (const row of kind.of(client).list(waiting)) all.push(row);
        return all;
      });
      if (options.json) printJson(rows.map(withoutKeys));
      else printRows(rows.map((row) => ({ id: kind.idOf(row), row })));
    });
}

function addDelete<R extends Row>(commands: Command, kind: Kind<R>): void {
  withServiceOptions(commands.command("delete").argument("<id>", `the ${kind.noun}`))
    .description("take the permission back; a device that is assigned keeps its hub")
    .action(async (id: string, options: ServiceOptions) => {
      await withServiceClient(options, (client, waiting) => kind.of(client).delete(id, waiting));
      if (options.json) printJson({ deleted: id });
      else printLine(`${kind.noun} ${id} deleted`);
    });
}

function report(row: Row, what: string | undefined, { json }: ServiceOptions): void {
  if (json) {
    printJson(row);
    return;
  }
  if (what) printLine(paint("green", what));
  printEnrollment(row);
}
