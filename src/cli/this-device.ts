// The gateway that this runs on, as an enrollment names it: its registration id, and its endorsement key or certificate.

import type { Tools } from "../agent/connect.ts";
import { closeIdentity, type Identity, openIdentity } from "../agent/identity.ts";
import { loadConfig } from "../config/load.ts";
import type { AttestationMechanism } from "../enrollment/record.ts";
import { MooringError } from "../errors.ts";

/** What the service API takes for an individual enrollment (PUT /enrollments/ID). */
export interface DeviceEnrollment {
  readonly registrationId: string;
  readonly attestation: AttestationMechanism;
}

/** Opens the identity of the configuration. Throws what `openIdentity` throws, and ERR_USAGE for a symmetric key. */
export async function readThisDevice(
  { config }: { config: string },
  tools: Tools,
): Promise<DeviceEnrollment> {
  const identity = await openIdentity(loadConfig(config), tools);
  try {
    return enrollmentOf(identity);
  } finally {
    await closeIdentity(identity);
  }
}

export function enrollmentOf(identity: Identity): DeviceEnrollment {
  const { registrationId } = identity;
  switch (identity.source) {
    case "tpm": {
      const endorsementKey = identity.endorsementKey.toString("base64");
      return { registrationId, attestation: { type: "tpm", tpm: { endorsementKey } } };
    }
    case "x509": {
      const primary = { certificate: leafOf(identity.certificate) };
      return { registrationId, attestation: { type: "x509", x509: { clientCertificates: { primary } } } };
    }
    case "symmetric-key":
      throw new MooringError("ERR_USAGE", "this device has a symmetric key, which is not shown to anybody", {
        hint: `run \`mooring enrollment create --registration-id ${registrationId} --symmetric-key-file FILE\` where the key came from`,
      });
  }
}

/** The first certificate of a PEM chain. */
const leafOf = (chain: string): string => chain.slice(0, chain.indexOf("-----END CERTIFICATE-----") + 26);
