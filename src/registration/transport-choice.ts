// Which way to DPS, and why. Pure. TPM attestation exists over HTTPS only; everybody else prefers MQTT and falls
// back to port 443 where a plant network blocks 8883.

import { type ErrorCode, MooringError } from "../errors.ts";
import type { TransportName } from "./transport.ts";

export interface Choice {
  /** In the order to try. */
  readonly order: readonly TransportName[];
  readonly because: string;
}

export function chooseTransport(facts: {
  readonly configured: TransportName | "auto";
  readonly attestation: "tpm" | "x509" | "symmetricKey";
  readonly hasProxy: boolean;
}): Choice {
  const { configured, attestation, hasProxy } = facts;
  if (attestation === "tpm") {
    if (configured === "auto" || configured === "https") {
      return { order: ["https"], because: "DPS offers TPM attestation over HTTPS only, not over MQTT" };
    }
    throw new MooringError(
      "ERR_CONFIG_INVALID",
      `\`transport = "${configured}"\` cannot carry TPM attestation, which DPS offers over HTTPS only; use \`https\` or \`auto\``,
    );
  }
  if (configured !== "auto") return { order: [configured], because: "the configuration says so" };
  if (hasProxy)
    return { order: ["mqtt-ws", "https"], because: "a proxy is set, and plain MQTT does not pass one" };
  return { order: ["mqtt", "mqtt-ws", "https"], because: "MQTT first, then port 443 where 8883 is blocked" };
}

/** Failures of the line, not answers of DPS: another port of the same, equally verified, host may do better. */
const lineFailures: ReadonlySet<ErrorCode> = new Set([
  "ERR_CONNECT",
  "ERR_CONNECTION_LOST",
  "ERR_PROXY",
  "ERR_TLS_SERVER",
  "ERR_PROTOCOL",
]);

export const anotherTransportMayHelp = (error: unknown): error is MooringError =>
  error instanceof MooringError && lineFailures.has(error.code);
