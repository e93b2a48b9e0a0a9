// `mooring service portal`: a link that opens the portal of the local service in a browser, once.

import type { Command } from "commander";
import { printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

const help = `
Example:
  $ mooring service portal --data ./dps
  https://localhost:8443/portal/#token=…

Whoever has the link may do everything, so it is good once and for ten minutes. The browser has to trust DIR/ca.pem.
With the key of a policy one can sign in at any time: mooring service policy list --keys.`;

export function addServicePortalCommand(service: Command): void {
  withServiceOptions(service.command("portal"))
    .description("print a link that opens the portal in a browser, once, within ten minutes")
    .addHelpText("after", help)
    .action(async (options: ServiceOptions) => {
      const link = await withServiceClient(options, ({ management }, waiting) =>
        management.portalLink(waiting),
      );
      if (options.json) printJson(link);
      else printLine(link.url);
    });
}
