// `mooring registration …`: who registered, when, and where it was assigned.

import type { Command } from "commander";
import type { ServiceClient } from "../enrollment/client.ts";
import { groupOf, type RegistrationRecord } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { ask, type ConfirmOptions, mustAsk } from "./confirmation.ts";
import { ifMatchHelp } from "./enrollment-update.ts";
import { type ListOptions, printListing, withListOptions } from "./listing.ts";
import { printFacts, printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

export function addRegistrationCommands(program: Command): void {
  const registration = program
    .command("registration")
    .description("devices that did register, and where they were assigned");
  addList(registration.command("list"));
  addShow(registration.command("show"));
  addDelete(registration.command("delete"));
}

function addList(command: Command): void {
  withListOptions(withServiceOptions(command))
    .description("print all of them, or those of one group")
    .option("--group <id>", "only those that came through this enrollment group")
    .addHelpText("after", listHelp)
    .action(async (options: ServiceOptions & ListOptions & { group?: string }) => {
      await withServiceClient(
        options,
        (client, tools) =>
          printListing(
            {
              heading: ["ID", "STATUS", "HUB", "DEVICE", "LAST", "THROUGH"],
              cells,
              idOf: ({ registrationId }) => registrationId,
              read: () => (options.group ? ofGroup(options.group, client, tools) : everywhere(client, tools)),
            },
            options,
            tools,
          ),
        {},
      );
    });
}

const listHelp = `
In Azure, where only a group can be asked for its registrations, this asks every group and every individual
enrollment; a registration whose enrollment is gone is then not found. The local service lists them all.

Example: where the devices of plant 7 are, live
  $ mooring registration list --group plant-7 --watch`;

const cells = (row: RegistrationRecord): string[] => [
  row.registrationId,
  row.status ?? "",
  row.assignedHub ?? row.errorMessage ?? "",
  row.deviceId ?? "",
  row.lastUpdatedDateTimeUtc ?? "",
  through(row),
];

async function* everywhere(
  client: ServiceClient,
  waiting: { signal: AbortSignal },
): AsyncGenerator<RegistrationRecord> {
  try {
    yield* client.management.registrations(waiting);
  } catch (error) {
    if (!isLocalOnly(error)) throw error;
    yield* byEnrollment(client, waiting);
  }
}

const isLocalOnly = (error: unknown): boolean =>
  error instanceof MooringError && error.code === "ERR_LOCAL_ONLY";

async function* byEnrollment(
  client: ServiceClient,
  waiting: { signal: AbortSignal },
): AsyncGenerator<RegistrationRecord> {
  for await (const { registrationId, registrationState, attestation } of client.enrollments.list(waiting)) {
    if (registrationState) yield { attestation: attestation.type, ...registrationState, registrationId };
  }
  for await (const { enrollmentGroupId } of client.enrollmentGroups.list(waiting))
    yield* ofGroup(enrollmentGroupId, client, waiting);
}

async function* ofGroup(
  enrollmentGroupId: string,
  { registrations }: ServiceClient,
  waiting: { signal: AbortSignal },
): AsyncGenerator<RegistrationRecord> {
  for await (const row of registrations.ofGroup(enrollmentGroupId, waiting))
    yield { enrollmentGroupId, ...row };
}

function addShow(command: Command): void {
  withServiceOptions(command.argument("<id>", "the registration id"))
    .description("print what became of one device")
    .action(async (id: string, options: ServiceOptions) => {
      const row = await withServiceClient(options, (client, { signal }) => one(id, client, { signal }));
      if (options.json) printJson(row);
      else printRegistration(row);
    });
}

/** The local service tells more of it than Azure's. */
async function one(
  id: string,
  { management, registrations }: ServiceClient,
  waiting: { signal: AbortSignal },
): Promise<RegistrationRecord> {
  try {
    return await management.registration(id, waiting);
  } catch (error) {
    if (!isLocalOnly(error)) throw error;
    return registrations.get(id, waiting);
  }
}

const through = (row: RegistrationRecord): string => groupOf(row) ?? "its own enrollment";

/** The service API says it by the name of a member. */
const attestationOf = ({ attestation, x509, symmetricKey }: RegistrationRecord): string =>
  attestation ?? (x509 ? "x509" : symmetricKey ? "symmetricKey" : "tpm");

const json = (value: unknown): string | undefined =>
  value === undefined ? undefined : JSON.stringify(value);

const printRegistration = (row: RegistrationRecord): void =>
  printFacts({
    id: row.registrationId,
    status: row.status,
    substatus: row.substatus,
    hub: row.assignedHub,
    "device id": row.deviceId,
    error: row.errorMessage && `${row.errorCode}: ${row.errorMessage}`,
    through: through(row),
    attestation: attestationOf(row),
    "device payload": json(row.devicePayload),
    "webhook payload": json(row.payload),
    first: row.createdDateTimeUtc,
    last: row.lastUpdatedDateTimeUtc,
    etag: row.etag,
  });

interface DeleteOptions extends ServiceOptions, ConfirmOptions {
  readonly ifMatch?: string;
}

function addDelete(command: Command): void {
  withServiceOptions(command.argument("<id>", "the registration id"))
    .description("forget that a device registered; it may register anew, as for the first time")
    .option("--yes", "do not ask")
    .option("--if-match <etag>", ifMatchHelp)
    .action(async (id: string, options: DeleteOptions) => {
      const asking = mustAsk(options, `delete the registration ${id}`);
      await withServiceClient(options, async ({ registrations }, { signal }) => {
        const before = asking ? await registrations.get(id, { signal }) : undefined;
        if (before)
          await ask(
            { consequences: consequences(before), question: `Delete the registration ${id}?` },
            { signal },
          );
        await registrations.delete(id, { signal, ifMatch: options.ifMatch ?? before?.etag });
      });
      if (options.json) printJson({ deleted: id });
      else printLine(`registration ${id} deleted`);
    });
}

const consequences = ({ assignedHub }: RegistrationRecord): string[] => [
  `The service forgets where this device was assigned${assignedHub === undefined ? "" : ` (${assignedHub})`}; the device stays connected there.`,
  "With an enrollment that lets it in, it may register again and is then assigned as if it were new.",
];
