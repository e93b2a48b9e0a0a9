// The options of `create` and `update` that say where a device goes and how it starts there, as members of the service
// API.

import { type Command, Option } from "commander";
import { allocationNames, reprovisionPolicies } from "../enrollment/columns.ts";
import type { AnyEnrollment } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { readInput, withServiceOptions } from "./service-client.ts";

export interface SettingOptions {
  readonly allocation?: keyof typeof allocationNames;
  readonly hub?: readonly string[];
  readonly anyHub?: boolean;
  readonly webhook?: string;
  readonly webhookApiVersion: string;
  readonly reprovision?: keyof typeof reprovisionPolicies;
  readonly edge?: boolean;
  readonly initialTwin?: string;
  readonly status?: "enabled" | "disabled";
}

export const settingsHelp = `
Where devices go:
  --hub H                        always to H
  --hub H1 --hub H2              spread over these by the hash of their ids (--allocation hashed)
  --allocation geo-latency       to the nearest of the --hub given, or of all linked
  --webhook https://…            wherever the function behind it says; its answer names the hub
When one comes again and its hub would be another:
  --reprovision migrate          it moves and its twin moves along (the default)
  --reprovision reset            it moves and starts with the initial twin
  --reprovision keep             it stays`;

export const withSettings = (command: Command): Command =>
  withServiceOptions(
    command
      .addOption(
        new Option("--allocation <policy>", "how its hub is chosen").choices(Object.keys(allocationNames)),
      )
      .option("--hub <host>", "hub to assign, or one of those to choose from; may be repeated", append)
      .option("--webhook <url>", "function that chooses the hub (custom allocation), https")
      .addOption(
        new Option("--webhook-api-version <version>", "api-version that the function gets").default(
          "2021-10-01",
        ),
      )
      .addOption(
        new Option("--reprovision <policy>", "what happens when it registers again").choices(
          Object.keys(reprovisionPolicies),
        ),
      )
      .option("--edge", "an IoT Edge device")
      .option("--no-edge", "not an IoT Edge device")
      .option("--initial-twin <file>", "JSON with tags and properties.desired for the device's twin")
      .addOption(new Option("--status <status>", "whether it may register").choices(["enabled", "disabled"])),
  );

const append = (host: string, hosts: readonly string[] = []): readonly string[] => [...hosts, host];

/** Whether anything of it was given. */
export const isSomethingGiven = (options: SettingOptions): boolean =>
  (["allocation", "hub", "anyHub", "webhook", "reprovision", "edge", "initialTwin", "status"] as const).some(
    (name) => options[name] !== undefined,
  );

/** The members that were given; undefined where one has to go from what was `before`. */
export function settingsFrom(options: SettingOptions, before?: AnyEnrollment): Record<string, unknown> {
  const { status, initialTwin, edge, reprovision } = options;
  return {
    ...allocationFrom(options, before),
    ...(status !== undefined && { provisioningStatus: status }),
    ...(edge !== undefined && { capabilities: { ...before?.capabilities, iotEdge: edge } }),
    ...(reprovision !== undefined && { reprovisionPolicy: reprovisionPolicies[reprovision] }),
    ...(initialTwin !== undefined && { initialTwin: readJson(initialTwin) }),
  };
}

/** Policy, hubs and webhook depend on one another: what no longer fits goes. */
function allocationFrom(
  { allocation, hub: hubs, anyHub, webhook, webhookApiVersion }: SettingOptions,
  before?: AnyEnrollment,
): Record<string, unknown> {
  if (allocation === undefined && !hubs && !anyHub && webhook === undefined) return {};
  if (hubs && anyHub) throw new MooringError("ERR_USAGE", "--hub and --any-hub contradict one another");
  const asked = allocation ?? (webhook === undefined ? undefined : "custom");
  const policy = asked ? allocationNames[asked] : before?.allocationPolicy;
  if (webhook !== undefined && policy !== "custom")
    throw new MooringError("ERR_USAGE", "--webhook needs --allocation custom");
  if (policy === "static" && (hubs?.length ?? 1) !== 1)
    throw new MooringError("ERR_USAGE", "--allocation static takes one --hub");
  const one = policy === undefined || policy === "static";
  const chosen = anyHub ? [] : (hubs ?? hubsOf(before));
  const settled = {
    // Several hubs are a choice, and somebody has to make it.
    allocationPolicy: policy === undefined && chosen.length > 1 ? "hashed" : policy,
    iotHubHostName: one && chosen.length === 1 ? chosen[0] : undefined,
    iotHubs:
      chosen.length > 1 || (!one && chosen.length === 1 && (hubs || before?.iotHubs)) ? chosen : undefined,
    customAllocationDefinition: webhookFrom(policy, { webhook, webhookApiVersion }, before),
  };
  if (policy === "static" && settled.iotHubHostName === undefined)
    throw new MooringError("ERR_USAGE", "--allocation static needs a --hub");
  return settled;
}

const hubsOf = (before: AnyEnrollment | undefined): readonly string[] =>
  before?.iotHubs ?? (before?.iotHubHostName === undefined ? [] : [before.iotHubHostName]);

function webhookFrom(
  policy: string | undefined,
  { webhook, webhookApiVersion }: { webhook: string | undefined; webhookApiVersion: string },
  before?: AnyEnrollment,
): unknown {
  if (policy !== "custom") return undefined;
  if (webhook !== undefined) return { webhookUrl: webhook, apiVersion: webhookApiVersion };
  if (before?.customAllocationDefinition) return before.customAllocationDefinition;
  throw new MooringError("ERR_USAGE", "--allocation custom needs a --webhook");
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readInput(file).toString());
  } catch (cause) {
    if (cause instanceof MooringError) throw cause;
    throw new MooringError("ERR_USAGE", `${file} is not JSON`, { cause, path: file });
  }
}
