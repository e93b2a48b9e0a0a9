// The service's own certificate authority and the server certificate beneath it. Both are made once in the data
// directory and used again; the server certificate is renewed when it nears its end or its names change, the CA
// certificate, with the same key, when it nears its own.

import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { MooringError, systemCode } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import { issueAuthority, issueServerCertificate } from "./certificate.ts";
import { writeDataFile } from "./data-directory.ts";

export interface ServerCredential {
  /** What devices have to trust. PEM, readable by everybody. */
  readonly caFile: string;
  /** PEM, issued directly by the CA. */
  readonly certificate: string;
  /** PEM. */
  readonly privateKey: string;
}

const dayMs = 24 * 60 * 60 * 1000;
const renewBeforeMs = 30 * dayMs;
/** Boards without a clock battery wake up in the past; they shall not find the service "not yet valid". */
const backdateMs = dayMs;
const authorityLifeMs = 3650 * dayMs;
/** The longest that browsers and operating systems accept from a server. */
const serverLifeMs = 397 * dayMs;

/**
 * Opens the authority in `directory`, making what is missing, and returns a server credential that is valid for
 * localhost, 127.0.0.1, ::1 and `hostnames`. Throws ERR_SERVICE_START when files there do not belong together.
 */
export function openAuthority(
  directory: string,
  { hostnames, clock }: { hostnames: readonly string[]; clock: Clock },
): ServerCredential {
  const authority = openCertificateAuthority(directory, clock);
  const names = [...new Set(["localhost", "127.0.0.1", "::1", ...hostnames])];
  return {
    caFile: join(directory, "ca.pem"),
    ...openServerCertificate(directory, authority, names, clock),
  };
}

interface Authority {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
  readonly commonName: string;
}

function openCertificateAuthority(directory: string, clock: Clock): Authority {
  const keyFile = join(directory, "ca-key.pem");
  const certificateFile = join(directory, "ca.pem");
  const storedKey = readIfThere(keyFile);
  const storedPem = readIfThere(certificateFile);
  if (storedKey === undefined && storedPem !== undefined) {
    throw spoiled(certificateFile, `its key ${keyFile} is missing`);
  }
  // The key is written before the certificate, so a key alone is what an interrupted start leaves behind.
  const key = storedKey === undefined ? newKey(keyFile) : parse(keyFile, storedKey, createPrivateKey);
  if (storedPem === undefined) return certifyAuthority(certificateFile, key, newAuthorityName(), clock);

  const certificate = parse(certificateFile, storedPem, (pem) => new X509Certificate(pem));
  if (!certificate.checkPrivateKey(key)) throw spoiled(certificateFile, `${keyFile} is not its key`);
  const commonName = certificate.subject.replace(/^CN=/, "");
  return isFresh(certificate, clock)
    ? { key, certificate, commonName }
    : certifyAuthority(certificateFile, key, commonName, clock);
}

/** Two services that a machine trusts at the same time need two names, or path building takes the wrong one. */
const newAuthorityName = (): string => `Mooring local provisioning CA ${randomBytes(4).toString("hex")}`;

function certifyAuthority(file: string, key: KeyObject, commonName: string, clock: Clock): Authority {
  const pem = issueAuthority({ subject: commonName, key, ...validity(clock, authorityLifeMs) });
  writeDataFile(file, pem, 0o644);
  return { key, certificate: new X509Certificate(pem), commonName };
}

/** Nothing is lost with a server certificate: whatever is wrong with the stored one, a new one is made. */
function openServerCertificate(
  directory: string,
  authority: Authority,
  names: readonly string[],
  clock: Clock,
): { certificate: string; privateKey: string } {
  const keyFile = join(directory, "server-key.pem");
  const certificateFile = join(directory, "server.pem");
  const stored = { privateKey: readIfThere(keyFile), certificate: readIfThere(certificateFile) };
  if (stored.privateKey !== undefined && stored.certificate !== undefined) {
    const { privateKey, certificate } = stored;
    if (isUsable(certificate, privateKey, authority, names, clock)) return { certificate, privateKey };
  }
  const key = newKey(keyFile);
  const certificate = issueServerCertificate(
    {
      subject: "Mooring local provisioning service",
      issuer: authority.commonName,
      key,
      issuerKey: authority.key,
      ...validity(clock, serverLifeMs),
    },
    names,
  );
  writeDataFile(certificateFile, certificate, 0o644);
  return { certificate, privateKey: exportKey(key) };
}

function isUsable(
  certificatePem: string,
  keyPem: string,
  authority: Authority,
  names: readonly string[],
  clock: Clock,
): boolean {
  try {
    const certificate = new X509Certificate(certificatePem);
    return (
      isFresh(certificate, clock) &&
      certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
      certificate.checkIssued(authority.certificate) &&
      certificate.verify(authority.certificate.publicKey) &&
      certificate.subjectAltName?.split(", ").length === names.length &&
      names.every(
        (name) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) !== undefined,
      )
    );
  } catch {
    return false;
  }
}

const isFresh = (certificate: X509Certificate, clock: Clock): boolean =>
  certificate.validFromDate.getTime() <= clock.now() &&
  certificate.validToDate.getTime() > clock.now() + renewBeforeMs;

const validity = (clock: Clock, lifeMs: number): { notBefore: number; notAfter: number } => ({
  notBefore: clock.now() - backdateMs,
  notAfter: clock.now() + lifeMs,
});

function newKey(file: string): KeyObject {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeDataFile(file, exportKey(privateKey), 0o600);
  return privateKey;
}

const exportKey = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new MooringError("ERR_SERVICE_START", `cannot read ${file}`, { cause: error, path: file });
  }
}

function parse<Parsed>(file: string, text: string, read: (text: string) => Parsed): Parsed {
  try {
    return read(text);
  } catch (error) {
    throw spoiled(file, "it is not PEM", error);
  }
}

const spoiled = (file: string, why: string, cause?: unknown): MooringError =>
  new MooringError("ERR_SERVICE_START", `cannot use the service's own CA in ${file}: ${why}`, {
    cause,
    path: file,
    hint: "restore ca.pem and ca-key.pem together; or move both away, and give devices the ca.pem that is then made",
  });
