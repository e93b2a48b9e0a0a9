// `mooring identity show --enroll`: this gateway's enrollment for whoever may create it: as JSON for the service API, as
// an Azure command, and as a QR code for a person with a phone between the gateway and the portal.

import type { EnrolledCertificate } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";
import { paint, printJson, printLine } from "./output.ts";
import { drawQrCode, qrCode, widthOf } from "./qr-code.ts";
import type { DeviceEnrollment } from "./this-device.ts";

type Form = "json" | "az" | "qr" | "all";

/** Prints one form alone, to be piped or pasted, or all of them with words between; with `json` as data. */
export async function printDeviceEnrollment(
  enrollment: DeviceEnrollment,
  form: Form,
  { json = false }: { json?: boolean | undefined },
): Promise<void> {
  if (json) {
    const code = await qrCode(qrText(enrollment));
    const rows = code?.modules.map((row) => row.map((dark) => (dark ? "1" : "0")).join(""));
    printJson({
      enrollment,
      az: azCommand(enrollment),
      qr: { text: qrText(enrollment), rows: rows ?? null },
    });
    return;
  }
  const heading = (text: string): void => {
    if (form === "all") printLine(paint("bold", text));
  };
  if (form === "json" || form === "all") {
    heading(`For the service API, PUT /enrollments/${enrollment.registrationId}?api-version=2021-10-01:`);
    printJson(enrollment);
  }
  if (form === "az" || form === "all") {
    heading("\nFor the Azure command line:");
    printLine(azCommand(enrollment));
  }
  if (form === "qr" || form === "all") {
    heading("\nFor a person at the portal, to be photographed:");
    await printQrCode(qrText(enrollment), form);
  }
}

/** Of the JSON in one line, certificates as base64 of DER. */
function qrText({ registrationId, attestation }: DeviceEnrollment): string {
  const { tpm, x509 } = attestation;
  const primary = { certificate: base64Of(x509?.clientCertificates?.primary) };
  return JSON.stringify({
    registrationId,
    attestation: tpm ? attestation : { type: "x509", x509: { clientCertificates: { primary } } },
  });
}

const base64Of = (enrolled: EnrolledCertificate | undefined): string =>
  (enrolled?.certificate ?? "").replace(/-----[^-]+-----|\s/g, "");

async function printQrCode(text: string, form: Form): Promise<void> {
  const code = await qrCode(text);
  const width = process.stdout.columns || Number.POSITIVE_INFINITY;
  if (code && widthOf(code) <= width) {
    for (const line of drawQrCode(code)) printLine(line);
    return;
  }
  const why = code
    ? `the QR code needs a terminal of ${widthOf(code)} columns, and this one has ${width}`
    : "the certificate is too large for a QR code";
  if (form === "qr") throw new MooringError("ERR_USAGE", why, { hint: "use --enroll json" });
  printLine(paint("yellow", `${why}.`));
}

/** `az iot dps enrollment create`, for a POSIX shell. NAME and GROUP are left to the reader. */
function azCommand({ registrationId, attestation }: DeviceEnrollment): string {
  const create = `az iot dps enrollment create --dps-name NAME --resource-group GROUP --enrollment-id '${registrationId}'`;
  const { tpm, x509 } = attestation;
  if (tpm) return `${create} \\\n  --attestation-type tpm --endorsement-key '${tpm.endorsementKey}'`;
  const file = `'${registrationId.replaceAll(":", "_")}.pem'`;
  const pem = x509?.clientCertificates?.primary.certificate?.trimEnd() ?? "";
  return `cat > ${file} <<'END'\n${pem}\nEND\n${create} \\\n  --attestation-type x509 --certificate-path ${file}`;
}
