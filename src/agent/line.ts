// How the service is reached and what goes over the line, before there is one: transports in order, proxy, trust
// anchors, payload.

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Assignment } from "../assignment/assignment.ts";
import type { Config } from "../config/schema.ts";
import { MooringError } from "../errors.ts";
import type { TransportName } from "../registration/transport.ts";
import { chooseTransport } from "../registration/transport-choice.ts";
import { expand, type OwnFacts } from "./facts.ts";

export interface Line {
  /** To be tried in turn. */
  readonly order: readonly TransportName[];
  /** Why they and no others. */
  readonly because: string;
  /** PEM. */
  readonly ca: string | undefined;
  readonly payload: unknown;
  /** With its credentials. */
  readonly proxy: string | undefined;
}

/**
 * `facts`: what the identity has to say in the payload. Throws ERR_CONFIG_INVALID, ERR_IDENTITY_UNREADABLE,
 * ERR_FACT_MISSING.
 */
export async function lineFor(
  config: Config,
  { attestation, facts }: { attestation: Assignment["attestation"]; facts: OwnFacts },
): Promise<Line> {
  const { caFile, transport } = config.provisioning;
  const proxy = await proxyFor(config);
  return {
    ...chooseTransport({ configured: transport, attestation, hasProxy: proxy !== undefined }),
    ca: caFile === undefined ? undefined : readCaFile(caFile),
    payload: await payloadOf(config, facts),
    proxy,
  };
}

/** The proxy of the configuration, else of the environment. Its credentials come from a file, never from argv. */
async function proxyFor({ provisioning }: Config): Promise<string | undefined> {
  const { proxy, proxyCredentialsFile, endpoint: host, ports } = provisioning;
  if (proxy === undefined) {
    if (!proxyVariables.some((name) => process.env[name] || process.env[name.toUpperCase()]))
      return undefined;
    return (await import("../registration/proxy.ts")).proxyFromEnvironment({ host, port: ports.https });
  }
  if (proxyCredentialsFile === undefined) return proxy;
  const url = new URL(proxy);
  const [user = "", ...password] = readNamed(proxyCredentialsFile, "proxy_credentials_file")
    .trim()
    .split(":");
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password.join(":"));
  return url.href;
}

const proxyVariables = ["https_proxy", "all_proxy"];

async function payloadOf({ provisioning }: Config, facts: OwnFacts): Promise<unknown> {
  if (provisioning.payloadFile === undefined)
    return expand(provisioning.payload, "[provisioning.payload]", facts);
  const text = readNamed(provisioning.payloadFile, "payload_file");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MooringError(
      "ERR_CONFIG_INVALID",
      `[provisioning] payload_file ${provisioning.payloadFile} is not JSON`,
      { cause },
    );
  }
}

function readCaFile(path: string): string {
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

/** At once: the files are small, and `node:fs/promises` takes longer to load than they to read. */
function readNamed(path: string, key: string): string {
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
