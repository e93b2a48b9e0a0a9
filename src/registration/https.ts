// DPS over HTTPS: each question is one HTTP request on one kept-alive TLS line.

import { Agent, type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { MooringError } from "../errors.ts";
import { networkError } from "../system/network-error.ts";
import { openTlsSocket } from "./tls-socket.ts";
import type { DpsAnswer, DpsRequest, Endpoint, Transport } from "./transport.ts";
import { operationPath, parseRetryAfterSeconds, registerPath } from "./wire.ts";

/** No answer of DPS comes near this; what is longer is not DPS. */
const maxAnswerBytes = 1024 * 1024;

export function openHttps(endpoint: Endpoint, options: { userAgent: string }): Transport {
  const lines = new LineAgent(endpoint);
  return {
    name: "https",
    send: (question, { signal }) => exchange(question, endpoint, lines, options.userAgent, signal),
    close: async () => lines.destroy(),
  };
}

/** An HTTP agent whose lines come from openTlsSocket, so that trust, proxies and failures are the same everywhere. */
class LineAgent extends Agent {
  readonly #endpoint: Endpoint;
  readonly #closed = new AbortController();

  constructor(endpoint: Endpoint) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#endpoint = endpoint;
  }

  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, line: Duplex) => void,
  ): undefined {
    openTlsSocket(this.#endpoint, { signal: this.#closed.signal }).then(
      (line) => callback?.(null, line),
      (error: Error) => callback?.(error, undefined as never),
    );
  }

  override destroy(): void {
    this.#closed.abort(new MooringError("ERR_CANCELLED", "the transport was closed"));
    super.destroy();
  }
}

function exchange(
  question: DpsRequest,
  endpoint: Endpoint,
  agent: Agent,
  userAgent: string,
  signal: AbortSignal,
): Promise<DpsAnswer> {
  const { host, port, idScope, registrationId } = endpoint;
  const body = question.kind === "register" ? Buffer.from(JSON.stringify(question.body)) : undefined;
  // Node tells a request that it was aborted only once it has a line, and that can take as long as connecting may.
  const { promise, resolve, reject } = Promise.withResolvers<DpsAnswer>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  const fail = (error: unknown): void =>
    reject(signal.aborted ? signal.reason : networkError(error, `exchange HTTPS with ${host}:${port}`));
  const exchange = request(
    {
      agent,
      host,
      port,
      method: question.kind === "register" ? "PUT" : "GET",
      path:
        question.kind === "register"
          ? registerPath(idScope, registrationId)
          : operationPath(idScope, registrationId, question.operationId),
      headers: {
        host: port === 443 ? host : `${host}:${port}`,
        accept: "application/json",
        "user-agent": userAgent,
        ...(body && { "content-type": "application/json; charset=utf-8", "content-length": body.length }),
        ...(question.authorization !== undefined && { authorization: question.authorization }),
      },
      signal,
    },
    (answer) => readAnswer(answer).then(resolve, fail),
  );
  exchange.once("error", fail);
  exchange.end(body);
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}

async function readAnswer(answer: IncomingMessage): Promise<DpsAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxAnswerBytes)
      throw new MooringError("ERR_PROTOCOL", `the service's answer is longer than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  const retryAfterSeconds = parseRetryAfterSeconds(answer.headers["retry-after"]);
  const requestId = answer.headers["x-ms-request-id"];
  const dateAt = Date.parse(answer.headers.date ?? "");
  return {
    status: answer.statusCode ?? 0,
    body: parseJson(Buffer.concat(chunks)),
    ...(retryAfterSeconds !== undefined && { retryAfterMs: retryAfterSeconds * 1000 }),
    ...(typeof requestId === "string" && { requestId }),
    ...(!Number.isNaN(dateAt) && { dateAt }),
  };
}

/** Undefined when it is not JSON: the status alone then decides what to make of the answer. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
