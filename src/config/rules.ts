// The rules that span several keys, in words. They read the raw tables, so that they speak even while single values
// are still wrong: all problems come at once. Pure.

import { usualHubKeyHandle, usualRootKeyHandles } from "../tpm/handles.ts";
import { templateProblems } from "./templates.ts";
import { isTable } from "./values.ts";

export type KeyPath = readonly (string | number)[];

export interface Problem {
  readonly path: KeyPath;
  readonly text: string;
}

type Tables = Readonly<Record<string, unknown>>;

const tableAt = (tables: Tables, key: string): Tables | undefined => {
  const value = Object.hasOwn(tables, key) ? tables[key] : undefined;
  return isTable(value) ? value : undefined;
};

/** Paths in `tables` are absolute already. */
export function crossProblems(tables: Tables): Problem[] {
  return [
    ...provisioningProblems(tables),
    ...identityProblems(tables),
    ...factProblems(tables),
    ...outputProblems(tables),
  ];
}

function* provisioningProblems(tables: Tables): Generator<Problem> {
  const provisioning = tableAt(tables, "provisioning") ?? {};
  const { transport } = provisioning;
  const source = tableAt(tables, "identity")?.["source"];
  if (source === "tpm" && (transport === "mqtt" || transport === "mqtt-ws")) {
    yield {
      path: ["provisioning", "transport"],
      text: `"${transport}" cannot carry TPM attestation; use "https" or "auto"`,
    };
  }
  if ("proxy" in provisioning && transport === "mqtt") {
    yield {
      path: ["provisioning", "proxy"],
      text: 'an HTTP proxy does not carry "mqtt"; use transport "mqtt-ws", "https" or "auto"',
    };
  }
  if ("proxy_credentials_file" in provisioning && /@/.test(String(provisioning["proxy"] ?? ""))) {
    yield {
      path: ["provisioning", "proxy_credentials_file"],
      text: "the proxy's URL names credentials too; keep one of them",
    };
  }
  if ("payload" in provisioning && "payload_file" in provisioning) {
    yield { path: ["provisioning", "payload_file"], text: "payload is given too; keep one of them" };
  }
}

function* identityProblems(tables: Tables): Generator<Problem> {
  const identity = tableAt(tables, "identity") ?? {};
  const { source } = identity;
  const x509 = tableAt(identity, "x509");
  const symmetric = tableAt(identity, "symmetric_key");

  if (source === "x509" && !("x509" in identity)) {
    yield {
      path: ["identity", "x509"],
      text: 'source = "x509" needs certificate and private_key, or pkcs12',
    };
  }
  yield* handleProblems(tableAt(identity, "tpm") ?? {});
  if (x509) {
    const problem = x509Problem("certificate" in x509, "private_key" in x509, "pkcs12" in x509);
    if (problem) yield { path: ["identity", "x509"], text: problem };
  }

  if (source === "symmetric-key" && !("symmetric_key" in identity)) {
    yield {
      path: ["identity", "symmetric_key"],
      text: 'source = "symmetric-key" needs key_file or group_key_file',
    };
  }
  if (symmetric) {
    if ("key_file" in symmetric === "group_key_file" in symmetric) {
      yield { path: ["identity", "symmetric_key"], text: "give exactly one of key_file and group_key_file" };
    }
    if (!("registration_id" in identity)) {
      yield {
        path: ["identity", "registration_id"],
        text: "is required with a symmetric key, which names no device",
      };
    }
  }
}

function* handleProblems(tpm: Tables): Generator<Problem> {
  const usual = {
    endorsement_key_handle: usualRootKeyHandles.endorsement,
    storage_root_key_handle: usualRootKeyHandles.storage,
    hub_key_handle: usualHubKeyHandle,
  };
  const taken = new Map<unknown, string>();
  for (const [key, handle] of Object.entries({ ...usual, ...tpm }).filter(([name]) => name in usual)) {
    const other = taken.get(handle);
    if (other) yield { path: ["identity", "tpm", key], text: `must be another handle than ${other}` };
    taken.set(handle, key);
  }
}

function* factProblems(tables: Tables): Generator<Problem> {
  const identity = tableAt(tables, "identity") ?? {};
  const { source, registration_id: id } = identity;
  yield* templateProblems(id, ["identity", "registration_id"], source);
  const payload = tableAt(tables, "provisioning")?.["payload"];
  yield* templateProblems(payload, ["provisioning", "payload"], source);
}

function x509Problem(certificate: boolean, privateKey: boolean, pkcs12: boolean): string | undefined {
  if (privateKey && pkcs12) return "give exactly one of private_key and pkcs12";
  if (privateKey && !certificate) return "private_key needs its certificate";
  if (!privateKey && !pkcs12) return "give certificate and private_key, or pkcs12";
  return undefined;
}

function* outputProblems(tables: Tables): Generator<Problem> {
  const stateDirectory = tableAt(tables, "state")?.["directory"] ?? "/var/lib/mooring";
  const outputs = Array.isArray(tables["outputs"]) ? tables["outputs"] : [];
  const seen = new Set<unknown>();
  for (const [index, output] of outputs.entries()) {
    if (!isTable(output)) continue;
    const path = ["outputs", index];
    if (output["format"] === "template" && !("template" in output)) {
      yield { path, text: 'format = "template" needs template, the path of the template file' };
    }
    if (output["format"] !== "template" && "template" in output) {
      yield { path: [...path, "template"], text: 'is only read with format = "template"' };
    }
    const target = output["path"];
    if (typeof target !== "string") continue;
    if (seen.has(target)) {
      yield { path: [...path, "path"], text: `${target} is the path of another output too` };
    }
    seen.add(target);
    const ownPart = ["generations", "quarantine", "current", "lock", "attempts.json"].find(
      (part) => `${target}/`.startsWith(`${stateDirectory}/${part}/`) || target === stateDirectory,
    );
    if (ownPart) {
      yield {
        path: [...path, "path"],
        text: `${target} belongs to Mooring's own state; choose another path`,
      };
    }
  }
}
