// The files that [provisioning] names: trusted CAs, payload, the proxy's credentials. One that cannot be read may be
// readable later; one that says the wrong thing may not.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { MooringError } from "../errors.ts";

/** PEM. Throws ERR_IDENTITY_UNREADABLE; ERR_CONFIG_INVALID when TLS could not use it. */
export function readCaFile(path: string): string {
  const pem = readNamed(path, "ca_file");
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  if (certificates?.every(isCertificate)) return pem;
  const what = certificates ? "holds a damaged certificate" : "holds no PEM certificate";
  throw new MooringError("ERR_CONFIG_INVALID", `[provisioning] ca_file ${path} ${what}`, { path });
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

/** Throws ERR_IDENTITY_UNREADABLE; ERR_CONFIG_INVALID when it is not JSON. */
export function readPayloadFile(path: string): unknown {
  const text = readNamed(path, "payload_file");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MooringError("ERR_CONFIG_INVALID", `[provisioning] payload_file ${path} is not JSON`, {
      cause,
      path,
    });
  }
}

/**
 * The text of a file that a key of [provisioning] names. At once: the files are small, and `node:fs/promises` takes
 * longer to load than they to read. Throws ERR_IDENTITY_UNREADABLE.
 */
export function readNamed(path: string, key: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    // Its disk may be mounted later, or the file put there: that is no fault of the configuration, and may be over.
    throw new MooringError("ERR_IDENTITY_UNREADABLE", `cannot read [provisioning] ${key} ${path}`, {
      cause,
      path,
      hint: "check path, owner and mode of the file named; the agent tries again by itself",
    });
  }
}
