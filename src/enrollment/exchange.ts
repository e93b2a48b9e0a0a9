// One request to the service API: signed, sent, and its answer or its failure put into our words.

import { type Agent, request } from "node:https";
import { json } from "node:stream/consumers";
import { type ErrorCode, MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import { networkError } from "../system/network-error.ts";
import type { ServiceConnection } from "./connection-string.ts";
import type { BulkResult } from "./record.ts";
import { serviceToken } from "./service-token.ts";

const apiVersion = "2021-10-01";
const tokenLifetimeSeconds = 300;
/** How long the line may be silent. */
const idleTimeoutMs = 30_000;

export interface Line {
  readonly connection: ServiceConnection;
  readonly agent: Agent;
  readonly clock: Clock;
}

export interface ServiceRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Encoded, without the query. */
  readonly path: string;
  /** What stands behind the api-version. */
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal: AbortSignal;
}

export interface ServiceAnswer {
  readonly headers: NodeJS.Dict<string | string[]>;
  /** Undefined for 204. */
  readonly body: unknown;
}

const lineHints: Partial<Record<ErrorCode, string>> = {
  ERR_DNS: "check HostName in the connection string",
  ERR_CONNECT: "check HostName in the connection string, and that the service is running",
  ERR_PROXY: "check HTTPS_PROXY, or name the service's host in NO_PROXY",
  ERR_PROXY_AUTHORIZATION: "give the proxy's user:password in HTTPS_PROXY",
  ERR_TLS_SERVER: "check HostName in the connection string, and name the CA of the service with --ca-file",
};

/** Throws ERR_UNAUTHORIZED, ERR_ENROLLMENT_*, ERR_THROTTLED, ERR_SERVICE_UNAVAILABLE, or what is wrong with the line. */
export async function exchange(line: Line, question: ServiceRequest): Promise<ServiceAnswer> {
  const { signal } = question;
  signal.throwIfAborted();
  try {
    const { status, ...answer } = await send(line, question);
    if (status >= 200 && status < 300) return answer;
    throw refusal(status, answer, question);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MooringError) throw hinted(error);
    const { host, port } = line.connection;
    const attempted = `ask the service at ${host}:${port}`;
    if (error instanceof SyntaxError) {
      throw new MooringError("ERR_PROTOCOL", `cannot ${attempted}: its answer is not JSON`, { cause: error });
    }
    throw hinted(networkError(error, attempted));
  }
}

/** With what helps here: others have no connection string. */
function hinted(error: MooringError): MooringError {
  const hint = lineHints[error.code];
  return hint ? new MooringError(error.code, error.message, { cause: error.cause, hint }) : error;
}

function send(
  { connection, agent, clock }: Line,
  { method, path, query, headers, body, signal }: ServiceRequest,
): Promise<ServiceAnswer & { status: number }> {
  const { host, port } = connection;
  const text = body === undefined ? "" : JSON.stringify(body);
  const expiresAt = Math.floor(clock.now() / 1000) + tokenLifetimeSeconds;
  return new Promise((resolve, reject) => {
    const sent = request({
      agent,
      host,
      port,
      method,
      path: `${path}?${new URLSearchParams({ "api-version": apiVersion, ...query })}`,
      timeout: idleTimeoutMs,
      signal,
      headers: {
        accept: "application/json",
        authorization: serviceToken(connection, { expiresAt }),
        ...(body !== undefined && { "content-type": "application/json; charset=utf-8" }),
        ...(method !== "GET" && { "content-length": Buffer.byteLength(text) }),
        ...headers,
      },
    });
    sent.once("timeout", () =>
      sent.destroy(
        new MooringError("ERR_DEADLINE", `${host}:${port} said nothing for ${idleTimeoutMs / 1000} s`),
      ),
    );
    sent.once("error", reject);
    // Node tells a request that it was aborted only once it has a line.
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    sent.once("close", () => signal.removeEventListener("abort", onAbort));
    sent.once("response", async (answer) => {
      const status = answer.statusCode ?? 0;
      const isJson = answer.headers["content-type"]?.includes("application/json");
      try {
        if (isJson) resolve({ status, headers: answer.headers, body: await json(answer) });
        else resolve({ status, headers: answer.resume().headers, body: undefined });
      } catch (cause) {
        // What stands between us and a broken service says what it likes; its status is enough.
        if (status >= 400 && cause instanceof SyntaxError)
          resolve({ status, headers: answer.headers, body: undefined });
        else reject(cause);
      }
    });
    sent.end(text);
  });
}

function refusal(
  status: number,
  { headers, body }: ServiceAnswer,
  { method, path }: ServiceRequest,
): MooringError {
  const { errorCode, message, trackingId } = (body ?? {}) as Record<string, unknown>;
  if (status < 400 || (status < 500 && status !== 429 && typeof errorCode !== "number")) {
    return new MooringError(
      "ERR_PROTOCOL",
      `${method} ${path} was answered with ${status}, and not as DPS does`,
      {
        status,
      },
    );
  }
  const retryAfter = headers["retry-after"];
  const details = {
    status,
    ...(/^\d{1,5}$/.test(String(retryAfter)) && { retryAfterMs: Number(retryAfter) * 1000 }),
    ...(typeof errorCode === "number" && { serviceErrorCode: errorCode }),
    ...(typeof trackingId === "string" && { trackingId }),
    ...(typeof message === "string" && { serviceMessage: message }),
    ...((status === 401 || status === 403) && {
      hint: "check the policy and the key in the connection string",
    }),
    ...(status === 404 &&
      /^(\/mooring)?\/registrations\//.test(path) && { hint: "list them with `mooring registration list`" }),
  };
  const said = typeof message === "string" ? `: ${message}` : "";
  return new MooringError(codeFor(status), `the service refuses ${method} ${path}${said}`, details);
}

/** What a bulk request says of one item, as if it had been sent by itself. */
export function itemRefusal(
  { errorCode, errorStatus }: BulkResult["errors"][number],
  { headers }: ServiceAnswer,
): MooringError {
  const status = Math.floor(errorCode / 1000);
  const requestId = headers["x-ms-request-id"];
  return new MooringError(codeFor(status), `the service refuses it: ${errorStatus}`, {
    status,
    serviceErrorCode: errorCode,
    serviceMessage: errorStatus,
    ...(typeof requestId === "string" && { trackingId: requestId }),
  });
}

function codeFor(status: number): ErrorCode {
  if (status === 401 || status === 403) return "ERR_UNAUTHORIZED";
  if (status === 404) return "ERR_ENROLLMENT_NOT_FOUND";
  if (status === 409 || status === 412) return "ERR_ENROLLMENT_CONFLICT";
  if (status === 429) return "ERR_THROTTLED";
  return status >= 500 ? "ERR_SERVICE_UNAVAILABLE" : "ERR_ENROLLMENT_REFUSED";
}
