// A private key from PEM: PKCS#8, PKCS#1 or SEC1, in the clear or encrypted with a password from a file.

import { createPrivateKey, type KeyObject } from "node:crypto";
import { MooringError } from "../errors.ts";
import type { Secret } from "../system/secret.ts";

const privateKeyBlock =
  /-----BEGIN (?<kind>(?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----(?<body>[\s\S]+?)-----END \k<kind>-----/;

/** Throws ERR_KEY_PASSWORD when the password is missing or wrong, ERR_IDENTITY_INVALID when there is no usable key. */
export function parsePrivateKey(pem: Buffer, password: Secret | undefined, path: string): KeyObject {
  // An EC file often starts with its parameters: take the key alone.
  const block = privateKeyBlock.exec(pem.toString("latin1"));
  if (!block)
    throw new MooringError("ERR_IDENTITY_INVALID", `there is no PEM private key in ${path}`, { path });
  const isEncrypted =
    /^ENCRYPTED/.test(block.groups?.["kind"] ?? "") ||
    /^\s*Proc-Type: 4,ENCRYPTED/.test(block.groups?.["body"] ?? "");
  if (isEncrypted && !password) {
    throw new MooringError(
      "ERR_KEY_PASSWORD",
      `the private key ${path} is encrypted, and no password_file is configured`,
      { path },
    );
  }
  try {
    return createPrivateKey({
      key: block[0],
      ...(isEncrypted && password ? { passphrase: password.reveal() } : {}),
    });
  } catch (cause) {
    if (isEncrypted && !isUnsupported(cause)) {
      throw new MooringError("ERR_KEY_PASSWORD", `the password does not open the private key ${path}`, {
        path,
      });
    }
    throw new MooringError("ERR_IDENTITY_INVALID", `cannot read the private key ${path}`, { cause, path });
  }
}

/** A cipher that this OpenSSL does not have, in contrast to a password that is wrong. */
function isUnsupported(error: unknown): boolean {
  return error instanceof Error && /unsupported|unknown (?:cipher|pbe)/i.test(error.message);
}
