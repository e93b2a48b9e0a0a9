// Which identity this gateway has, and what it can do with it: `auto` takes the TPM where one is, else X.509.
// Rooms load only when their kind of identity is used.

import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import type { SymmetricKeyIdentity } from "../identity/symmetric-key.ts";
import type { TpmIdentity } from "../identity/tpm.ts";
import type { X509Files, X509Identity } from "../identity/x509.ts";
import type { Credential } from "../registration/handshake.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Wanted } from "./decide.ts";

export type Identity = TpmIdentity | X509Identity | SymmetricKeyIdentity;

type Source = Identity["source"];

const attestationOf = { tpm: "tpm", x509: "x509", "symmetric-key": "symmetricKey" } as const;

/** The source that the configuration means on this machine. */
export async function identitySource({ identity }: Config): Promise<Source> {
  if (identity.source !== "auto") return identity.source;
  const { tpmIsThere } = await import("../identity/tpm.ts");
  if (tpmIsThere(identity.tpm.tcti)) return "tpm";
  if (identity.x509) return "x509";
  throw new MooringError(
    "ERR_IDENTITY_NOT_FOUND",
    `found neither a TPM at ${identity.tpm.tcti} nor an [identity.x509] in the configuration`,
  );
}

/** What can be known of the wanted identity without the TPM or a certificate's private key. */
export async function wantedBy(config: Config, tools: { clock: Clock; log: Log }): Promise<Wanted> {
  const source = await identitySource(config);
  const { endpoint, idScope } = config.provisioning;
  const { registrationId, x509 } = config.identity;
  return {
    endpoint,
    idScope,
    attestation: attestationOf[source],
    ...(registrationId !== undefined && { registrationId }),
    ...(source === "x509" && { publicKeySha256: await certificateFingerprint(x509 ?? {}) }),
    ...(source === "symmetric-key" && {
      publicKeySha256: (await openIdentity(config, tools)).publicKeySha256,
    }),
  };
}

const certificateFingerprint = async (files: X509Files): Promise<string> =>
  (await import("../identity/x509.ts")).x509Fingerprint(files);

/** Opens the identity: reads and checks certificate and key, or talks to the TPM. The TPM is left open; close it. */
export async function openIdentity(config: Config, tools: { clock: Clock; log: Log }): Promise<Identity> {
  const { registrationId, tpm, x509, symmetricKey } = config.identity;
  const named = registrationId === undefined ? {} : { registrationId };
  switch (await identitySource(config)) {
    case "tpm": {
      const { openTpmIdentity } = await import("../identity/tpm.ts");
      return openTpmIdentity({ ...tpm, ...named, log: tools.log });
    }
    case "x509": {
      const { openX509Identity } = await import("../identity/x509.ts");
      return openX509Identity(x509 ?? {}, { ...named, ...tools });
    }
    case "symmetric-key": {
      const { openSymmetricKeyIdentity } = await import("../identity/symmetric-key.ts");
      return openSymmetricKeyIdentity(symmetricKey ?? {}, { registrationId, ...tools });
    }
  }
}

/** How this identity proves itself to DPS. */
export function credentialOf(identity: Identity): Credential {
  switch (identity.source) {
    case "x509":
      return { attestation: "x509" };
    case "symmetric-key":
      return { attestation: "symmetricKey", sign: (data) => identity.sign(data) };
    case "tpm": {
      const { tpm, endorsementKey, storageRootKey } = identity;
      return {
        attestation: "tpm",
        endorsementKey,
        storageRootKey,
        activate: async (authenticationKey) => {
          const wrapped = await tpm.activate(authenticationKey);
          return { wrapped, sign: (data) => tpm.sign(wrapped, data) };
        },
      };
    }
  }
}

export const closeIdentity = async (identity: Identity): Promise<void> => {
  if (identity.source === "tpm") await identity.tpm.close();
};
