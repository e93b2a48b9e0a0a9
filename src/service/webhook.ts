// How a webhook is called: one POST over HTTPS to a server that is verified, with an end to waiting and to reading.

import { Agent, request } from "node:https";
import { getCACertificates } from "node:tls";
import { MooringError } from "../errors.ts";
import type { Clock } from "../system/clock.ts";
import { withDeadline } from "../system/deadline.ts";
import { networkError } from "../system/network-error.ts";
import { longestMessage } from "./device-request-body.ts";

/** Resolves to the answer, whatever its status. Rejects with a MooringError when there is none. */
export type Webhook = (
  url: string,
  body: unknown,
  options: { signal: AbortSignal },
) => Promise<{ readonly status: number; readonly text: string }>;

export interface WebhookOptions {
  readonly clock: Clock;
  /** PEM; trusted beside the system's store. */
  readonly ca?: string;
  readonly timeoutMs?: number;
}

export function createWebhook({ clock, ca, timeoutMs = 10_000 }: WebhookOptions): Webhook & Disposable {
  // The system's store is read when it is first needed: it takes a while, and most services call no webhook.
  let agent: Agent | undefined;
  const post: Webhook = (url, body, { signal }) => {
    agent ??= new Agent({
      keepAlive: true,
      maxSockets: 64,
      rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
      ca: [...systemAnchors(), ...(ca ? [ca] : [])],
    });
    const options = { agent, method: "POST", headers: { "content-type": "application/json; charset=utf-8" } };
    return withDeadline(timeoutMs, { clock, signal }, async (deadline) => {
      try {
        return await exchange(url, JSON.stringify(body), { ...options, signal: deadline.signal });
      } catch (error) {
        deadline.signal.throwIfAborted();
        // The address stays out of the text, because its query is often a secret.
        throw networkError(error, `call the webhook at ${new URL(url).host}`);
      }
    });
  };
  return Object.assign(post, { [Symbol.dispose]: () => agent?.destroy() });
}

function exchange(
  url: string,
  body: string,
  options: { agent: Agent; method: string; headers: Record<string, string>; signal: AbortSignal },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, options, (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on("error", reject);
      answer.on("data", (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length > longestMessage) {
          answer.destroy(
            new MooringError("ERR_PROTOCOL", `the webhook's answer is larger than ${longestMessage} bytes`),
          );
        }
      });
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** A system without a store falls back to the roots that Node carries. */
function systemAnchors(): string[] {
  const system = getCACertificates("system");
  return system.length > 0 ? system : getCACertificates("bundled");
}
