// `mooring service token`: what curl and other tools need that can send a header and sign nothing.

import type { Command } from "commander";
import { serviceToken } from "../enrollment/service-token.ts";
import { systemClock } from "../system/clock.ts";
import { integer } from "./integer.ts";
import { printJson, printLine } from "./output.ts";
import { readConnection, type ServiceOptions, withServiceOptions } from "./service-client.ts";

interface TokenOptions extends ServiceOptions {
  readonly path?: string;
  readonly minutes: number;
  readonly header?: boolean;
}

const help = `
Example, with the header on standard input, where nobody else sees it:
  $ mooring service token --data ./dps --header |
      curl -H @- --cacert dps/ca.pem 'https://localhost:8443/enrollments/gw-0001?api-version=2021-10-01'

It is made here, out of the key in the connection string, for Azure's service as well; nobody is asked. Whoever has
it may do what the policy allows, until it runs out or the key is rotated.`;

export function addServiceTokenCommand(service: Command): void {
  withServiceOptions(service.command("token"))
    .description("print a SAS token for the service API, as curl and scripts need it")
    .option("--path <path>", "for a part of the API only, such as enrollments/gw-0001")
    .option("--minutes <n>", "how long it is good", integer(1, 525_600), 60)
    .option("--header", "print the whole header, with its name")
    .addHelpText("after", help)
    .action(async (options: TokenOptions) => {
      const expiresAt = Math.floor(systemClock.now() / 1000) + options.minutes * 60;
      const path = options.path?.replace(/^\/+|\/+$/g, "") || undefined;
      const token = serviceToken(await readConnection(options), { expiresAt, path });
      if (options.json) printJson({ token, expiresAtUtc: new Date(expiresAt * 1000).toISOString() });
      else printLine(options.header ? `Authorization: ${token}` : token);
    });
}
