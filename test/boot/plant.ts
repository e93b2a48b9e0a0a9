// Where the gateways of the scenarios work: the local service, and a gateway that is enrolled there and has been given
// the little configuration that an operator gives it.

import { readFileSync } from "node:fs";
import { type LocalService, startService } from "../support/local-service.ts";
import { buildMachine, type Machine } from "./machine.ts";

export interface Plant extends AsyncDisposable {
  readonly service: LocalService;
  readonly gateway: Machine;
  /** Permits the gateway's TPM, or changes to which hub that leads. */
  enroll(hub?: string): Promise<void>;
  /** Hub and device id, as gateway.service tells them in the journal. */
  readonly assigned: (hub?: string) => string;
}

const registrationId = "gw-0001";
const firstHub = "first.hub.example";
export const secondHub = "second.hub.example";

/** `settings`: TOML beside what is needed. */
export async function openPlant(name: string, settings = ""): Promise<Plant> {
  const service = await startService("--hostname", "dps.mooring.test", "--hub", firstHub, secondHub);
  const gateway = await buildMachine(name);
  gateway.deliver({
    "etc/mooring/plant-ca.pem": readFileSync(service.caFile),
    "etc/mooring/config.d/plant.toml": configuration(service.idScope, settings),
  });
  return {
    service,
    gateway,
    enroll: async (hub = firstHub) => {
      const tpm = { endorsementKey: await gateway.endorsementKey() };
      await service.enroll(`/enrollments/${registrationId}`, {
        registrationId,
        attestation: { type: "tpm", tpm },
        iotHubHostName: hub,
      });
    },
    assigned: (hub = firstHub) => `gateway works for ${hub} as ${registrationId}`,
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

const configuration = (idScope: string, settings: string): string => `
[provisioning]
endpoint = "dps.mooring.test"
id_scope = "${idScope}"
ca_file = "/etc/mooring/plant-ca.pem"

[identity]
registration_id = "${registrationId}"

${settings}
`;
