// A gateway without a TPM: its key is root's alone and reaches the agent as a systemd credential.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Issued, issue } from "../support/pki.ts";
import { architecture } from "./architecture.ts";
import { openPlant, type Plant, registrationId, statusOf, worksAt, worksFor } from "./plant.ts";
import type { Guest } from "./power.ts";

const settings = `[identity]
source = "x509"
[identity.x509]
certificate = "/etc/mooring/identity/cert.pem"
private_key = "credential:key.pem"
[[outputs]]
path = "/var/lib/mooring/hub.env"
[[outputs]]
path = "/var/lib/mooring/hub.json"
format = "json"
group = "users"
`;
const dropIn = "[Service]\nLoadCredential=key.pem:/etc/mooring/identity/key.pem\n";
/** As it ships, with a group that Debian has. */
const groupDropIn = readFileSync("systemd/group.conf.example", "utf8").replace("=readers", "=users");

const directory = mkdtempSync(join(tmpdir(), "mooring-boot-pki-"));
const ca = issue(directory, "Plant CA", { isCa: true });
const [first, second] = ["first", "second"].map((name) =>
  issue(directory, name, { by: ca, subject: registrationId }),
) as [Issued, Issued];

let plant: Plant;
let guest: Guest;
beforeAll(async () => {
  plant = await openPlant("certificate", settings, {
    "etc/mooring/identity/cert.pem": first.certificate,
    "etc/mooring/identity/key.pem": first.key,
    "etc/systemd/system/mooring.service.d/credential.conf": dropIn,
    "etc/systemd/system/mooring.service.d/group.conf": groupDropIn,
  });
  const certificate = Buffer.from(ca.certificate).toString("base64");
  await plant.service.enroll("/enrollmentGroups/plant", {
    enrollmentGroupId: "plant",
    attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate } } } },
    iotHubHostName: "first.hub.example",
  });
  plant.gateway.deliver(plant.files);
  guest = await plant.gateway.boot({ network: plant.network, hasTpm: false });
});
afterAll(async () => {
  await plant?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

it("provisions with a key that only root may read", async () => {
  expect(await guest.sh("stat -c '%U %a' /etc/mooring/identity/key.pem")).toBe("root 600");
  expect(await worksFor(guest)).toBe(worksAt());
  expect(await statusOf(guest)).toMatchObject({ usable: { assignment: { attestation: "x509" } } });
});

it("publishes to a group of the operator's, whose members read that and nothing else", async () => {
  const asMember = "setpriv --reuid=nobody --regid=nogroup --groups=users";
  expect(await guest.sh(`cd /; ${asMember} cat /var/lib/mooring/hub.json`)).toContain('"gw-0001"');
  for (const command of ["ls /var/lib/mooring", "cat /var/lib/mooring/hub.env"])
    expect(await guest.sh(`cd /; ${asMember} ${command} 2>&1 || true`)).toContain("Permission denied");
});

const { dmiSerial } = architecture;
it.runIf(dmiSerial)("is told the serial number that only root may read by a drop-in", async () => {
  const [line = ""] = /^LoadCredential=.*$/m.exec(readFileSync("systemd/serial.conf.example", "utf8")) ?? [];
  const asAgent = (...properties: string[]): Promise<string> =>
    guest.sh(`systemd-run --quiet --wait --pipe -p User=mooring ${properties.map((one) => `-p ${one}`).join(" ")} \\
      mooring identity facts --json`);
  expect(JSON.parse(await asAgent(line))).toMatchObject({ serial: dmiSerial });
  expect(await asAgent()).not.toContain(dmiSerial); // negative control
});

it("registers with the new certificate once key and certificate are replaced", async () => {
  const before = await guest.sh("readlink -f /var/lib/mooring/current");
  await guest.sh(`cd /etc/mooring/identity; umask 077
    cat >key.new <<'END'\n${second.key}\nEND
    cat >cert.new <<'END'\n${second.certificate}\nEND
    chmod 644 cert.new; mv key.new key.pem; mv cert.new cert.pem`);
  await guest.until(`test "$(readlink -f /var/lib/mooring/current)" != ${before}`, 300);
  await guest.until('mooring status --json | grep \'"activity": *"resting"\'');
  expect(await statusOf(guest)).toMatchObject({ usable: { yes: true }, decision: { act: "keep" } });
});

it("registers with a key that lies there encrypted, for this machine alone", async () => {
  await guest.sh(`cd /etc/mooring/identity
    systemd-creds encrypt --with-key=host --name=key.pem key.pem key.cred
    cat >/etc/systemd/system/mooring.service.d/credential.conf <<'END'
[Service]
LoadCredentialEncrypted=key.pem:/etc/mooring/identity/key.cred
END
    systemctl daemon-reload; rm key.pem; systemctl restart mooring`);
  await guest.sh("mooring reprovision --wait");
  expect(await statusOf(guest)).toMatchObject({ usable: { yes: true }, confirmed: { by: "service" } });
  expect(await guest.sh("grep -rl 'PRIVATE KEY' /etc/mooring /var/lib/mooring || true")).toBe("");
});
