// `mooring service …` beside `run`: what the local service does, seen and changed while it runs.

import type { Command } from "commander";
import { addHubCommands } from "./service-hub.ts";
import { addPolicyCommands } from "./service-policy.ts";
import { addServicePortalCommand } from "./service-portal.ts";
import { addQuotaCommands } from "./service-quota.ts";
import { addScenarioCommands } from "./service-scenario.ts";
import { addServiceTokenCommand } from "./service-token.ts";

export function addServiceManagementCommands(service: Command): void {
  addHubCommands(service.command("hub").description("hubs that devices may be assigned to"));
  addPolicyCommands(
    service.command("policy").description("keys that operators sign in with, and what they allow"),
  );
  addServicePortalCommand(service);
  addServiceTokenCommand(service);
  addScenarioCommands(
    service.command("scenario").description("what the service does wrong on purpose, to try devices"),
  );
  addQuotaCommands(service.command("quota").description("how much a minute is let in, as Azure limits it"));
}
