// How the service says no: a documented errorCode (status × 1000 + detail), a message for the caller, and, for the
// service's own log only, what was wrong.

import type { ServiceErrorBody } from "../registration/wire.ts";
import { azureTime } from "./stamps.ts";

/** Thrown while a request is judged, turned into an answer at the edge. Never leaves `service/`. */
export class Refusal extends Error {
  readonly errorCode: number;
  /** Why, for the operator's log. Not sent. */
  readonly reason: string;

  constructor(errorCode: number, message: string, reason: string = message) {
    super(message);
    this.name = "Refusal";
    this.errorCode = errorCode;
    this.reason = reason;
  }

  get status(): number {
    return Math.floor(this.errorCode / 1000);
  }
}

/** 429001; whoever is told comes again after `retryAfterSeconds`. */
export class Throttled extends Refusal {
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number, message = "Operations are being throttled for this tenant.") {
    super(429001, message, `${message} Retry-After: ${retryAfterSeconds} s`);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The error body of both APIs; `requestId` is also sent as `x-ms-request-id`. */
export const refusalBody = (
  { errorCode, message }: { errorCode: number; message: string },
  { requestId, now }: { requestId: string; now: number },
): ServiceErrorBody => ({ errorCode, trackingId: requestId, message, timestampUtc: azureTime(now) });
