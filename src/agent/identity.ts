// Which identity this gateway has, and what it can do with it: `auto` takes the TPM where one is, else X.509.
// Rooms load only when their kind of identity is used.

import type { Assignment } from "../assignment/assignment.ts";
import type { Config } from "../config/schema.ts";
import { factsUsedIn } from "../config/templates.ts";
import { MooringError } from "../errors.ts";
import type { SymmetricKeyIdentity } from "../identity/symmetric-key.ts";
import type { TpmIdentity } from "../identity/tpm.ts";
import type { X509Identity } from "../identity/x509.ts";
import type { Credential } from "../registration/handshake.ts";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import type { Wanted } from "./decide.ts";
import { type OwnFacts, registrationIdFrom, registrationIdIfKnown } from "./facts.ts";

export type Identity = TpmIdentity | X509Identity | SymmetricKeyIdentity;

type Source = Identity["source"];

export const attestationOf = { tpm: "tpm", x509: "x509", "symmetric-key": "symmetricKey" } as const;

/** The source that the configuration means on this machine. */
export async function identitySource({ identity }: Config): Promise<Source> {
  if (identity.source !== "auto") return identity.source;
  const { tpmIsThere } = await import("../identity/tpm.ts");
  if (tpmIsThere(identity.tpm.tcti)) return "tpm";
  // Where nothing else is configured, the TPM is merely not there yet: at boot its driver may come later than we do.
  return identity.x509 ? "x509" : "tpm";
}

/**
 * `auto` is decided once: neither a TPM whose driver is late this time nor one that turns up makes another device of a
 * gateway that has an assignment. An operator who reprovisions decides anew.
 */
async function sourceSince(saved: Assignment | undefined, config: Config): Promise<Source> {
  const { source, x509 } = config.identity;
  if (source === "auto" && saved?.attestation === "tpm") return "tpm";
  if (source === "auto" && saved?.attestation === "x509" && x509) return "x509";
  return identitySource(config);
}

/**
 * What can be known of the wanted identity without the TPM or a certificate's private key, to compare with what is
 * `saved`. A fact that is missing just now, such as the address of a network card that is still asleep, costs nobody
 * a good assignment: it only leaves the name unknown.
 */
export async function wantedBy(
  config: Config,
  saved: Assignment | undefined,
  tools: { clock: Clock; log: Log },
): Promise<Wanted> {
  const source = await sourceSince(saved, config);
  const { endpoint, idScope } = config.provisioning;
  const wanted = { endpoint, idScope, attestation: attestationOf[source] };
  if (saved === undefined) return wanted;
  const { registrationId: template } = config.identity;
  const registrationId =
    template && (await registrationIdIfKnown(template, await ownFacts(config, source, saved), tools));
  return {
    ...wanted,
    ...(registrationId !== undefined && { registrationId }),
    ...(await wantedKey(config, source, registrationId, tools)),
  };
}

async function wantedKey(
  { identity }: Config,
  source: Source,
  registrationId: string | undefined,
  tools: { log: Log },
): Promise<Pick<Wanted, "publicKeySha256" | "validity">> {
  if (source === "x509") {
    const { x509Outline } = await import("../identity/x509.ts");
    const { publicKeySha256, validFrom: from, validTo: to } = await x509Outline(identity.x509 ?? {});
    return { publicKeySha256, validity: { from, to } };
  }
  if (source === "tpm" || registrationId === undefined) return {};
  const { openSymmetricKeyIdentity } = await import("../identity/symmetric-key.ts");
  const opened = openSymmetricKeyIdentity(identity.symmetricKey ?? {}, { registrationId, ...tools });
  return { publicKeySha256: opened.publicKeySha256 };
}

/** The identity's own facts without opening a TPM: another one than the saved is found out when it is opened. */
export async function ownFacts({ identity }: Config, source: Source, saved?: Assignment): Promise<OwnFacts> {
  if (source === "tpm")
    return { "ek-sha256": saved?.attestation === "tpm" ? saved.publicKeySha256 : undefined };
  if (source !== "x509" || !factsUsedIn(identity.registrationId).includes("cn")) return {};
  return { cn: await (await import("../identity/x509.ts")).x509CommonName(identity.x509 ?? {}) };
}

/** Opens the identity: reads and checks certificate and key, or talks to the TPM. The TPM is left open; close it. */
export async function openIdentity(
  config: Config,
  tools: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<Identity> {
  const { registrationId: template, tpm, x509, symmetricKey } = config.identity;
  const source = await identitySource(config);
  if (source === "tpm") {
    const { openTpmIdentity } = await import("../identity/tpm.ts");
    const nameFor = (sha256: string): Promise<string> | undefined =>
      template === undefined ? undefined : registrationIdFrom(template, { "ek-sha256": sha256 });
    return openTpmIdentity({ ...tpm, ...tools, nameFor });
  }
  const registrationId = template && (await registrationIdFrom(template, await ownFacts(config, source)));
  if (source === "x509") {
    const { openX509Identity } = await import("../identity/x509.ts");
    return openX509Identity(x509 ?? {}, {
      ...(registrationId !== undefined && { registrationId }),
      ...tools,
    });
  }
  const { openSymmetricKeyIdentity } = await import("../identity/symmetric-key.ts");
  return openSymmetricKeyIdentity(symmetricKey ?? {}, { registrationId, ...tools });
}

/**
 * Opens the TPM that a saved assignment belongs to, acts, and closes it. `auto` means the TPM here, even while it is
 * not there. Throws ERR_IDENTITY_NOT_FOUND when another identity is configured.
 */
export async function withTpm(
  config: Config,
  tools: { clock: Clock; log: Log; signal: AbortSignal },
  act: (identity: TpmIdentity) => Promise<void>,
): Promise<void> {
  const source = config.identity.source === "auto" ? "tpm" : config.identity.source;
  const identity = source === "tpm" ? await openIdentity(configuredAs(source, config), tools) : undefined;
  if (identity?.source !== "tpm") {
    throw new MooringError(
      "ERR_IDENTITY_NOT_FOUND",
      "the saved assignment needs the TPM, and the configured identity is another",
    );
  }
  try {
    await act(identity);
  } finally {
    await closeIdentity(identity);
  }
}

const configuredAs = (source: Source, config: Config): Config => ({
  ...config,
  identity: { ...config.identity, source },
});

/** What the identity itself has to say in templates. */
export function factsOf(identity: Identity): OwnFacts {
  if (identity.source === "x509") return { cn: identity.facts.commonName };
  if (identity.source === "tpm") return { "ek-sha256": identity.publicKeySha256 };
  return {};
}

/** The same whatever it is called: before a registration id can be made of it. Opens a TPM, and closes it. */
export async function readOwnFacts(
  config: Config,
  tools: { log: Log; signal: AbortSignal },
): Promise<OwnFacts> {
  const source = await identitySource(config);
  if (source === "symmetric-key") return {};
  if (source === "x509")
    return { cn: await (await import("../identity/x509.ts")).x509CommonName(config.identity.x509 ?? {}) };
  const { openTpmIdentity } = await import("../identity/tpm.ts");
  const identity = await openTpmIdentity({ ...config.identity.tpm, ...tools });
  await identity.tpm.close();
  return factsOf(identity);
}

/** How this identity proves itself to DPS, until the signal aborts. */
export function credentialOf(identity: Identity, { signal }: { signal: AbortSignal }): Credential {
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
          const wrapped = await tpm.activate(authenticationKey, { signal });
          return { wrapped, sign: (data) => tpm.sign(wrapped, data, { signal }) };
        },
      };
    }
  }
}

export const closeIdentity = async (identity: Identity): Promise<void> => {
  if (identity.source === "tpm") await identity.tpm.close();
};
