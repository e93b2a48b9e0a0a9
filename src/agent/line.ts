// How the service is reached and what goes over the line, before there is one: transports in order, proxy, trust
// anchors, payload.

import type { Assignment } from "../assignment/assignment.ts";
import type { Config } from "../config/schema.ts";
import type { TransportName } from "../registration/transport.ts";
import { chooseTransport } from "../registration/transport-choice.ts";
import { proxyFromEnvironment } from "../system/proxy.ts";
import { expand, type OwnFacts } from "./facts.ts";
import { readCaFile, readNamed, readPayloadFile } from "./named-files.ts";

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
  if (proxy === undefined) return proxyFromEnvironment({ host, port: ports.https });
  if (proxyCredentialsFile === undefined) return proxy;
  const url = new URL(proxy);
  const [user = "", ...password] = readNamed(proxyCredentialsFile, "proxy_credentials_file")
    .trim()
    .split(":");
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password.join(":"));
  return url.href;
}

async function payloadOf({ provisioning }: Config, facts: OwnFacts): Promise<unknown> {
  if (provisioning.payloadFile !== undefined) return readPayloadFile(provisioning.payloadFile);
  return expand(provisioning.payload, "[provisioning.payload]", facts);
}
