// `mooring demo`: the main job in front of the user's eyes, on this machine alone: a software TPM, the local
// service, and two gateways, each step a real command with its time. Everything lives in one temporary directory.

import type { Command } from "commander";
import { paint, printLine } from "./output.ts";

export function addDemoCommand(program: Command): void {
  program
    .command("demo")
    .description("watch two gateways provision themselves, with a software TPM and a local service")
    .addHelpText(
      "after",
      "\nNeeds swtpm and openssl. Needs no cloud and no root, ends by itself and leaves nothing running.",
    )
    .option("--keep", "keep the temporary directory, to look at the files afterwards")
    .option("--verbose", "say every step, and show where a failure came from")
    .action(async ({ keep = false }: { keep?: boolean }) => {
      const { openStage } = await import("./demo-stage.ts");
      const stage = await openStage({ keep });
      try {
        await play(stage);
      } finally {
        await stage.close();
      }
    });
}

async function play(stage: import("./demo-stage.ts").Stage): Promise<void> {
  printLine(paint("bold", "\nThe stage: a software TPM and the local provisioning service"));
  const tcti = await stage.startTpm();
  const service = await stage.startService();
  printLine(
    `${" ".repeat(11)}id scope ${service.idScope}, HTTPS on port ${service.httpsPort}, MQTT on port ${service.mqttPort}`,
  );

  printLine(paint("bold", "\nGateway one: it has a TPM, and nothing else"));
  const first = await stage.writeConfig(
    "gateway-1",
    `[identity]\nsource = "tpm"\n[identity.tpm]\ntcti = "${tcti}"\n`,
  );
  const identity = await stage.mooring(
    ["identity", "show", "--config", first, "--json"],
    "read who the gateway is from its TPM",
  );
  const { registrationId, endorsementKey } = identity as { registrationId: string; endorsementKey: string };
  await stage.mooring(
    [
      "enrollment",
      "create",
      "--registration-id",
      registrationId,
      "--endorsement-key",
      endorsementKey,
      "--device-id",
      "gateway-one",
      "--json",
    ],
    "enroll that TPM",
  );
  await stage.mooring(["provision", "--config", first, "--json"], "provision over HTTPS, by TPM attestation");
  await stage.show("gateway-1/state/hub.env");

  printLine(paint("bold", "\nGateway two: a certificate and its key in files"));
  const certificate = await stage.makeCertificate("gateway-two");
  await stage.mooring(
    [
      "enrollment",
      "create",
      "--registration-id",
      "gateway-two",
      "--certificate",
      certificate.certificate,
      "--json",
    ],
    "enroll its certificate",
  );
  const second = await stage.writeConfig(
    "gateway-2",
    `[identity]\nsource = "x509"\n[identity.x509]\ncertificate = "${certificate.certificate}"\nprivate_key = "${certificate.privateKey}"\n`,
  );
  await stage.mooring(["provision", "--config", second, "--json"], "provision over MQTT, by X.509");
  await stage.show("gateway-2/state/hub.env");

  await stage.mooring(
    ["provision", "--config", second, "--json"],
    "the next boot: the assignment is kept, nobody is asked",
  );
  printLine(
    paint("green", "\nDone.") +
      " Both gateways know their hub. Next: `mooring config example`, or the README.\n",
  );
}
