// A gateway under systemd: the package's units, a configuration of the operator's, and a program of the operator's that
// needs the assignment.

import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocalService } from "./local-service.ts";
import { issue, x509Identity } from "./pki.ts";
import { lackingForRig, type Rig, startRig } from "./service-manager-rig.ts";

export interface RigGateway extends Rig {
  /** Its registration id. */
  readonly name: string;
  /** Writes the configuration: TOML beside what is needed, and of another identity than the certificate. */
  configure(settings?: string, identity?: string): void;
  /** Permits it, with the certificate that it has; leads it to that hub, if one is named. */
  enroll(hub?: string): Promise<void>;
  /** Enrolls another certificate, and puts it into the place of the one before. */
  renewCertificate(): Promise<void>;
  /** Starts what is enabled, as a boot does. */
  boot(): Promise<void>;
  /** Stops what a boot starts, as the end of one does. */
  shutDown(): Promise<void>;
  /** Waits until whatever rang was heard and acted upon. */
  followed(): Promise<void>;
  /** How often systemd has started a unit so far. */
  starts(unit: string): Promise<number>;
}

/** Why there is none on this machine, which is said once; tests are skipped then, under a name that tells it as well. */
export const noRig = lackingForRig();
// What is to run them must not pass without.
if (noRig !== undefined && process.env["MOORING_RIG"] === "required")
  throw new Error(`the units cannot be run here: ${noRig}`);
if (noRig !== undefined) process.stderr.write(`the units are not run: ${noRig}\n`);
export const underSystemd = `under systemd${noRig === undefined ? "" : ` (skipped: ${noRig})`}`;

const marks = "sockets.target paths.target timers.target multi-user.target";
/** What is to be active for as long as the gateway is on. */
export const watchers = "mooring.socket mooring.path mooring.timer mooring-changed.path";
const workers = "mooring-assigned.target mooring-wait mooring-reload mooring-changed mooring gateway";

/** The unit is the one in the README. */
export const gatewayUnit = (): string => {
  const [, text = ""] =
    /^```ini\n# gateway.service\n(.*?)^```/ms.exec(readFileSync("README.md", "utf8")) ?? [];
  const program = "/bin/sh -c 'echo works for $IOTHUB_HOSTNAME; exec sleep infinity'";
  return text.replace("/usr/bin/gateway", program);
};

export async function startRigGateway(service: LocalService): Promise<RigGateway> {
  const rig = await startRig();
  const directory = mkdtempSync(join(tmpdir(), "mooring-gateway-"));
  const name = `gw-${randomUUID()}`;
  let issued = issue(directory, name);
  const gateway: RigGateway = {
    ...rig,
    name,
    configure: (settings = "", identity = withCertificate) =>
      rig.write("/etc/mooring/config.toml", `${provisioningOf(service)}\n${identity}\n${settings}`),
    enroll: (hub) =>
      service.enroll(`/enrollments/${name}`, {
        registrationId: name,
        ...(hub !== undefined && { iotHubHostName: hub }),
        attestation: {
          type: "x509",
          x509: { clientCertificates: { primary: { certificate: issued.certificate } } },
        },
      }),
    renewCertificate: async () => {
      issued = issue(directory, name);
      // Else it could be refused first, and wait long to ask again.
      await gateway.enroll();
      deliver();
    },
    boot: async () => void (await rig.sh(`systemctl start ${marks} || true`)),
    shutDown: async () =>
      void (await rig.sh(`systemctl stop ${watchers} ${workers}; systemctl reset-failed
        rm -rf /run/mooring/agent/* /run/mooring/hub.env /run/mooring-changed`)),
    followed: () =>
      rig.until(`test ! -e /run/mooring/agent/changed -a $(systemctl is-active mooring-changed) = inactive
        test -z "$(systemctl list-jobs --no-legend)"`),
    starts: async (unit) => {
      const journal = await rig.sh(`journalctl --sync; journalctl -q -o cat _PID=1 UNIT=${unit}`);
      return journal.split("\n").filter((line) => line.startsWith("Starting ")).length;
    },
    [Symbol.asyncDispose]: async () => {
      rmSync(directory, { recursive: true });
      await rig[Symbol.asyncDispose]();
    },
  };
  const deliver = (): void => {
    rig.write("/etc/mooring/identity/key.pem", issued.key);
    rig.write("/etc/mooring/identity/certificate.pem", issued.certificate);
  };
  deliver();
  rig.write("/etc/mooring/plant-ca.pem", readFileSync(service.caFile));
  gateway.configure();
  rig.write("/etc/systemd/system/gateway.service", gatewayUnit());
  // The agent's group may read the key, and nobody else.
  await rig.sh(`chgrp mooring /etc/mooring/identity/key.pem; chmod 640 /etc/mooring/identity/key.pem
    systemctl daemon-reload; systemctl enable ${watchers} mooring mooring-changed gateway`);
  return gateway;
}

const withCertificate = x509Identity(
  "/etc/mooring/identity/certificate.pem",
  "/etc/mooring/identity/key.pem",
);

export const provisioningOf = ({ idScope, httpsPort, mqttPort }: LocalService): string => `[provisioning]
endpoint = "localhost"
id_scope = "${idScope}"
ca_file = "/etc/mooring/plant-ca.pem"
[provisioning.ports]
https = ${httpsPort}
mqtt = ${mqttPort}`;
