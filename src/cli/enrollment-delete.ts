// `enrollment delete` and `enrollment-group delete`: says first what becomes of the devices.

import type { Command } from "commander";
import type { ServiceClient } from "../enrollment/client.ts";
import { ifThere } from "../enrollment/if-there.ts";
import { type AnyEnrollment, groupOf, type IndividualEnrollment } from "../enrollment/record.ts";
import { ask, type ConfirmOptions, mustAsk } from "./confirmation.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { ifMatchHelp } from "./enrollment-update.ts";
import { printJson, printLine, visible } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

interface DeleteOptions extends ServiceOptions, ConfirmOptions {
  readonly withRegistration?: boolean;
  readonly ifMatch?: string;
}

export function addDelete(command: Command, kind: CommandKind): void {
  withServiceOptions(command.argument("<id>", `the ${kind.noun}`))
    .description("take the permission back; a device that is assigned keeps its hub")
    .option(
      "--with-registration",
      kind.command === "enrollment"
        ? "its registration record too"
        : "the registration records of its devices too",
    )
    .option("--yes", "do not ask")
    .option("--if-match <etag>", ifMatchHelp)
    .addHelpText("after", deleteHelp(kind))
    .action((id: string, options: DeleteOptions) => remove(id, options, kind));
}

const deleteHelp = ({ command }: CommandKind): string => `
Who has no enrollment is refused when it registers again. A device that is assigned stays connected until
then: to cut it off at once, remove it from its hub as well.
${
  command === "enrollment"
    ? "The registration record, which remembers the assignment, goes with the enrollment."
    : "Registration records, which remember the assignments, stay and count against the service's limits, unless\n--with-registration deletes them too."
}
On a terminal it says what will happen and asks; elsewhere it needs --yes.`;

async function remove(id: string, options: DeleteOptions, kind: CommandKind): Promise<void> {
  const asking = mustAsk(options, `delete ${kind.noun} ${id}`);
  const records = await withServiceClient(options, async (client, { signal }) => {
    const before = asking ? await askFirst(id, options, kind, client, signal) : undefined;
    await kind.of(client).delete(id, { signal, ifMatch: options.ifMatch ?? before?.etag });
    return options.withRegistration ? deleteRecords(id, kind, client, signal) : 0;
  });
  if (options.json)
    printJson({ deleted: id, ...(options.withRegistration && { registrationsDeleted: records }) });
  else printLine(`${kind.noun} ${id} deleted${records > 0 ? `, and ${counted(records)}` : ""}`);
}

async function askFirst(
  id: string,
  { withRegistration = false }: DeleteOptions,
  kind: CommandKind,
  client: ServiceClient,
  signal: AbortSignal,
): Promise<AnyEnrollment> {
  const before = await kind.of(client).get(id, { signal });
  const consequences =
    "registrationId" in before
      ? ofDevice(before.registrationState)
      : ofGroup(await registrationsOf(id, client, signal), withRegistration);
  await ask({ consequences: consequences.map(visible), question: `Delete ${kind.noun} ${id}?` }, { signal });
  return before;
}

function ofDevice(registration: IndividualEnrollment["registrationState"]): string[] {
  if (registration === undefined)
    return ["No device has registered with it. None will be able to, unless a group lets it in."];
  const { assignedHub, deviceId } = registration;
  const group = groupOf(registration);
  return [
    ...(assignedHub === undefined
      ? []
      : [
          `The device is assigned to ${assignedHub} as ${deviceId}, and stays connected there until it registers again.`,
        ]),
    group === undefined
      ? "Then it will be refused, unless a group lets it in. Its registration record goes with the enrollment."
      : `It registered through the group ${group}, which may let it in again. Its registration record stays.`,
  ];
}

/** As many are counted before a person is asked. */
const mostCounted = 1000;

function ofGroup(registrations: number, withRegistration: boolean): string[] {
  if (registrations === 0) return ["No device has registered through it. None will be able to."];
  const many =
    registrations === mostCounted ? `${mostCounted} or more devices` : counted(registrations, "device");
  return [
    `${many} registered through it, and stay connected to their hubs until they register again.`,
    `Then they will be refused. Their registration records ${withRegistration ? "are deleted too" : "stay (--with-registration deletes them too)"}.`,
  ];
}

async function registrationsOf(id: string, client: ServiceClient, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const _ of client.registrations.ofGroup(id, { signal })) if (++count === mostCounted) break;
  return count;
}

/** How many there were; that of an individual enrollment often goes with it. */
async function deleteRecords(
  id: string,
  kind: CommandKind,
  { registrations }: ServiceClient,
  signal: AbortSignal,
): Promise<number> {
  const ids = kind.command === "enrollment" ? [id] : [];
  if (kind.command === "enrollment-group")
    for await (const { registrationId } of registrations.ofGroup(id, { signal })) ids.push(registrationId);
  let count = 0;
  for (const each of ids) {
    const deleted = registrations.delete(each, { signal }).then(() => true);
    if (await ifThere(deleted)) count++;
  }
  return count;
}

const counted = (count: number, what = "registration record"): string =>
  `${count} ${what}${count === 1 ? "" : "s"}`;
