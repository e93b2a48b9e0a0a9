// Every call to the service. The cookie goes along by itself, the token against forged requests is added here, and
// whatever goes wrong becomes one kind of failure, in the service's own words.

import { connectionLost, connectionPresent } from "./connection.ts";
import { endSession, sessionState } from "./session.ts";

/** What the page knows of a call that failed. `status` 0: the service was not reached. */
export class Failure extends Error {
  readonly status: number;
  readonly trackingId: string | undefined;
  /** The member of the request that the service complains about, as `attestation.tpm.endorsementKey`. */
  readonly field: string | undefined;

  constructor(status: number, message: string, { trackingId }: { trackingId?: string | undefined } = {}) {
    const [, field, complaint] = /^([A-Za-z][\w.[\]]*): (.+)$/s.exec(message) ?? [];
    super(sentence(field && complaint ? complaint : message));
    this.name = "Failure";
    this.status = status;
    this.trackingId = trackingId;
    this.field = field;
  }
}

/** The service ends its fragments without a full stop. */
const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export interface CallOptions {
  readonly body?: unknown;
  readonly ifMatch?: string | undefined;
  readonly signal?: AbortSignal;
}

/** An answer that is not JSON, such as that of a DELETE, is `undefined`. Throws a `Failure`, or what `signal` throws. */
export async function call<Answer>(
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  const { answer } = await exchange<Answer>(method, path, options);
  return answer;
}

/** The same, with the id under which the service has logged the call. */
export async function exchange<Answer>(
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  { body, ifMatch, signal }: CallOptions = {},
): Promise<{ answer: Answer; trackingId: string | undefined }> {
  const state = sessionState.get();
  const headers: Record<string, string> = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (ifMatch !== undefined) headers["if-match"] = ifMatch;
  if (method !== "GET" && "session" in state) headers["x-mooring-csrf"] = state.session.csrf;

  let response: Response;
  let text: string;
  try {
    response = await fetch(path, {
      method,
      headers,
      cache: "no-store",
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    connectionLost();
    throw new Failure(0, "The service cannot be reached.");
  }
  connectionPresent();
  if (response.ok) {
    return {
      answer: (text === "" ? undefined : JSON.parse(text)) as Answer,
      trackingId: response.headers.get("x-ms-request-id") ?? undefined,
    };
  }
  if (response.status === 401 && path !== "/portal/session") endSession();
  throw failureOf(response, text);
}

function failureOf(response: Response, text: string): Failure {
  const { status } = response;
  const trackingId = response.headers.get("x-ms-request-id") ?? undefined;
  try {
    const body = JSON.parse(text) as { message?: string; trackingId?: string };
    return new Failure(status, body.message ?? `The service answered ${status}.`, {
      trackingId: body.trackingId ?? trackingId,
    });
  } catch {
    return new Failure(status, `The service answered ${status}.`, { trackingId });
  }
}

/** Anything that was thrown, as something to show. */
export const asFailure = (error: unknown): Failure =>
  error instanceof Failure ? error : new Failure(0, error instanceof Error ? error.message : String(error));
