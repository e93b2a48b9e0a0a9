// `enrollment update` and `enrollment-group update`: everything can be changed but how the device proves itself.

import { type Command, Option } from "commander";
import type { AnyEnrollment } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import type { AttestationOptions } from "./enrollment-input.ts";
import type { CommandKind } from "./enrollment-kind.ts";
import { reportEnrollment } from "./enrollment-output.ts";
import {
  isSomethingGiven,
  type SettingOptions,
  settingsFrom,
  settingsHelp,
  withSettings,
} from "./enrollment-settings.ts";
import { type ServiceOptions, withServiceClient } from "./service-client.ts";

export interface Guarded extends ServiceOptions {
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
export async function change(
  id: string,
  kind: CommandKind,
  client: Client,
  { ifMatch, signal }: { ifMatch: string | undefined; signal: AbortSignal },
  changes: (before: AnyEnrollment) => Record<string, unknown> | Promise<Record<string, unknown>>,
): Promise<AnyEnrollment> {
  const enrollments = kind.of(client);
  const before = await enrollments.getWithKeys(id, { signal });
  return enrollments.put(id, kind.row(kind.idOf(before), { ...before, ...(await changes(before)) }), {
    signal,
    ifMatch: ifMatch ?? before.etag,
  });
}
