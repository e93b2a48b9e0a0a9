// `mooring service portal`: a link that opens the portal of the local service in a browser, once.

import { join } from "node:path";
import type { Command } from "commander";
import { printJson, printLine } from "./output.ts";
import { type ServiceOptions, withServiceClient, withServiceOptions } from "./service-client.ts";

interface PortalOptions extends ServiceOptions {
  readonly data?: string;
}

const help = `
Example:
  $ mooring service portal --data ./dps
  https://localhost:8443/portal/#token=…

Whoever has the link may do everything, so it is good once and for ten minutes. The browser has to trust DIR/ca.pem.
With the key of a policy one can sign in at any time: mooring service policy list --keys.`;

export function addServicePortalCommand(service: Command): void {
  withServiceOptions(service.command("portal"))
    .description("print a link that opens the portal in a browser, once, within ten minutes")
    .option(
      "--data <directory>",
      "the data directory of the service, in place of --service-file and --ca-file",
    )
    .addHelpText("after", help)
    .action(async ({ data, ...options }: PortalOptions) => {
      const reached = data === undefined ? options : { ...options, ...filesIn(data) };
      const link = await withServiceClient(reached, ({ management }, waiting) =>
        management.portalLink(waiting),
      );
      if (options.json) printJson(link);
      else printLine(link.url);
    });
}

const filesIn = (data: string): { serviceFile: string; caFile: string } => ({
  serviceFile: join(data, "connection-string"),
  caFile: join(data, "ca.pem"),
});
