// An X.509 certificate and its private key as an identity: read from PEM files or a PKCS#12 archive, checked before
// the network is bothered with them.

import type { KeyObject, X509Certificate } from "node:crypto";
import { MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import { type Log, silentLog } from "../system/log.ts";
import { Secret } from "../system/secret.ts";
import {
  type CertificateFacts,
  commonNameOf,
  factsOf,
  orderChain,
  parseCertificates,
  publicKeySha256,
} from "./certificate.ts";
import { requireUsable } from "./certificate-checks.ts";
import { readIdentityFile, readPasswordFile, readSecretFile } from "./files.ts";
import type { Archive } from "./pkcs12.ts";
import { parsePrivateKey } from "./private-key.ts";
import { requireRegistrationId } from "./registration-id.ts";

/** Where certificate and key are: PEM files, or a PKCS#12 archive, whose certificates a PEM file may replace. */
export interface X509Files {
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly pkcs12?: string;
  readonly passwordFile?: string;
}

export interface X509Identity {
  readonly source: "x509";
  readonly attestation: "x509";
  readonly registrationId: string;
  /** Hex SHA-256 of the SubjectPublicKeyInfo, DER. */
  readonly publicKeySha256: string;
  /** PEM, leaf first, then its chain. */
  readonly certificate: string;
  /** PKCS#8 PEM, unencrypted, in memory only. */
  readonly privateKey: Secret;
  readonly facts: CertificateFacts;
}

type Chain = readonly [X509Certificate, ...X509Certificate[]];

/**
 * Reads certificate and key and checks that they belong together and that DPS can take them. The registration id is
 * the common name; a configured one has to be the same, without regard to case. Throws ERR_IDENTITY_UNREADABLE,
 * ERR_IDENTITY_INVALID, ERR_KEY_PASSWORD, ERR_KEY_MISMATCH, ERR_CERTIFICATE_EXPIRED, ERR_CERTIFICATE_NOT_YET_VALID,
 * ERR_REGISTRATION_ID_INVALID.
 */
export async function openX509Identity(
  files: X509Files,
  { registrationId: configured, clock, log }: { registrationId?: string; clock: Clock; log: Log },
): Promise<X509Identity> {
  const sources = sourcesOf(files, log);
  const chain = await sources.chain();
  const privateKey = await sources.privateKey();
  const [leaf] = chain;
  const path = certificatePath(files);
  if (!leaf.checkPrivateKey(privateKey)) {
    const keyPath = files.privateKey ?? files.pkcs12;
    throw new MooringError(
      "ERR_KEY_MISMATCH",
      `the private key in ${keyPath} does not belong to the certificate in ${path}`,
      { path },
    );
  }
  const now = clock.now();
  requireUsable(leaf, path, now);
  return {
    source: "x509",
    attestation: "x509",
    registrationId: registrationIdOf(leaf, configured, path),
    publicKeySha256: publicKeySha256(leaf),
    certificate: chain.map((one) => one.toString()).join(""),
    privateKey: new Secret(privateKey.export({ type: "pkcs8", format: "pem" })),
    facts: factsOf(chain, now),
  };
}

/** What a certificate says without its key: whose it is, and from when to when it is valid, in ms since 1970. */
export interface CertificateOutline {
  readonly publicKeySha256: string;
  readonly validFrom: number;
  readonly validTo: number;
}

/** Of the identity's certificate, without touching its key where a certificate file is configured and shows whose it is. */
export async function x509Outline(files: X509Files): Promise<CertificateOutline> {
  const leaf = await readLeaf(files);
  return {
    publicKeySha256: publicKeySha256(leaf),
    validFrom: leaf.validFromDate.getTime(),
    validTo: leaf.validToDate.getTime(),
  };
}

/** The common name, read in the same way; undefined when there is not exactly one. */
export const x509CommonName = async (files: X509Files): Promise<string | undefined> =>
  commonNameOf(await readLeaf(files));

async function readLeaf(files: X509Files): Promise<X509Certificate> {
  const { chain } = sourcesOf(files, silentLog);
  return (await chain())[0];
}

interface Sources {
  readonly chain: () => Promise<Chain>;
  readonly privateKey: () => Promise<KeyObject>;
}

/** What the files hold, each read when it is asked for, and once: the certificates alone rarely take the key to order. */
function sourcesOf(files: X509Files, log: Log): Sources {
  const { certificate, privateKey: keyPath, passwordFile } = files;
  const archive = once(() => openArchive(files, log));
  const privateKey = once(async () => {
    if (keyPath === undefined) return (await archive()).privateKey;
    const password = passwordFile === undefined ? undefined : readPasswordFile(passwordFile, log);
    return parsePrivateKey(readSecretFile(keyPath, "the private key", log).reveal(), password, keyPath);
  });
  const chain = async (): Promise<Chain> => {
    const certificates =
      certificate === undefined ? (await archive()).certificates : readCertificates(certificate);
    return orderChain(certificates, certificatePath(files), privateKey);
  };
  return { chain, privateKey };
}

function once<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

const readCertificates = (path: string): X509Certificate[] =>
  parseCertificates(readIdentityFile(path, "the certificate").toString("latin1"), path);

async function openArchive({ pkcs12: path, passwordFile }: X509Files, log: Log): Promise<Archive> {
  if (path === undefined) {
    throw new MooringError(
      "ERR_IDENTITY_NOT_FOUND",
      "[identity.x509] names neither certificate and private_key nor pkcs12",
    );
  }
  const password = passwordFile === undefined ? undefined : readPasswordFile(passwordFile, log);
  const content = readSecretFile(path, "the PKCS#12 archive", log);
  const { openPkcs12 } = await import("./pkcs12.ts");
  return openPkcs12(content.reveal(), password, path);
}

function certificatePath({ certificate, pkcs12 }: X509Files): string {
  const path = certificate ?? pkcs12;
  if (path !== undefined) return path;
  throw new MooringError("ERR_IDENTITY_NOT_FOUND", "[identity.x509] names neither certificate nor pkcs12");
}

/** DPS takes the common name for the registration id, so another one would only be refused later. */
function registrationIdOf(leaf: X509Certificate, configured: string | undefined, path: string): string {
  const commonName = commonNameOf(leaf);
  if (commonName === undefined) {
    throw new MooringError(
      "ERR_IDENTITY_INVALID",
      `the certificate in ${path} needs exactly one common name: the registration id`,
      { path },
    );
  }
  requireRegistrationId(commonName, `the common name of the certificate in ${path}`);
  if (configured !== undefined && configured.toLowerCase() !== commonName.toLowerCase()) {
    throw new MooringError(
      "ERR_REGISTRATION_ID_INVALID",
      `registration_id is "${configured}", but the certificate in ${path} is of "${commonName}"`,
      { path, hint: "remove [identity] registration_id, or make it the certificate's common name" },
    );
  }
  return configured ?? commonName;
}
