// Where the gateways of the scenarios work: the local service, and a gateway that is enrolled there and has been given
// the little configuration that an operator gives it.

import { readFileSync } from "node:fs";
import { type LocalService, startService } from "../support/local-service.ts";
import { buildMachine, type Machine } from "./machine.ts";
import type { Boot, Guest } from "./power.ts";

export interface Plant extends AsyncDisposable {
  readonly service: LocalService;
  readonly gateway: Machine;
  /** For boots: the way to the service. */
  readonly network: NonNullable<Boot["network"]>;
  /** What the operator puts on the gateway. */
  readonly files: Files;
  /** Permits the gateway's TPM, or changes to which hub that leads. */
  enroll(hub?: string): Promise<void>;
}

type Files = Readonly<Record<string, string | Buffer>>;

export const registrationId = "gw-0001";
const firstHub = "first.hub.example";
export const secondHub = "second.hub.example";

/** `settings`: TOML beside what is needed; `files`: more to put on the gateway. */
export async function openPlant(name: string, settings = tpmSettings, files: Files = {}): Promise<Plant> {
  const service = await startService("--hostname", "dps.mooring.test", "--hub", firstHub, secondHub);
  const gateway = await buildMachine(name);
  return {
    service,
    gateway,
    network: { 443: service.httpsPort, 8883: service.mqttPort },
    files: {
      "etc/mooring/plant-ca.pem": readFileSync(service.caFile),
      "etc/mooring/config.d/plant.toml": `${plantSettings(service.idScope)}\n${settings}`,
      ...files,
    },
    enroll: async (hub = firstHub) => {
      const tpm = { endorsementKey: gateway.endorsementKey };
      await service.enroll(`/enrollments/${registrationId}`, {
        registrationId,
        attestation: { type: "tpm", tpm },
        iotHubHostName: hub,
      });
    },
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

const plantSettings = (idScope: string): string => `[provisioning]
endpoint = "dps.mooring.test"
id_scope = "${idScope}"
ca_file = "/etc/mooring/plant-ca.pem"
`;

export const tpmSettings = `[identity]
source = "tpm"
registration_id = "${registrationId}"
`;

/** Waits until gateway.service runs, which needs the assignment; answers with what it works with. */
export async function worksFor(guest: Guest, seconds?: number): Promise<string> {
  await guest.until("systemctl is-active gateway", seconds);
  return guest.sh("journalctl -q -b -u gateway -o cat | grep -o 'works for .*' | tail -1");
}

export const worksAt = (hub = firstHub): string => `works for ${hub} as ${registrationId}`;

/** `mooring status --json`, which fails where there is no identity. */
export async function statusOf(guest: Guest): Promise<unknown> {
  return JSON.parse(await guest.sh("mooring status --json || test $? = 66"));
}
