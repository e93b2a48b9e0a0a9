// A model of the provisioning service as a fleet sees it: a quota of registrations a minute, 429 with Retry-After above
// it, times when it is down or busy, and devices that are not enrolled yet.

import { MooringError } from "../../../src/errors.ts";
import type { DpsAnswer, Transport } from "../../../src/registration/transport.ts";

export const minute = 60_000;

export interface Service {
  /** Register requests by minute, refused ones too. */
  readonly requests: number[];
  /** By minute, those above the quota. */
  readonly refused: number[];
  /** A device's line to it. */
  transport(registrationId: string): Transport;
  /** Status and Retry-After of one register request; counts it. Undefined: nobody answers. */
  register(): { status: number; retryAfterMs?: number } | undefined;
}

export interface ServiceDay {
  readonly now: () => number;
  /** Registrations a minute, as for a DPS instance. */
  readonly quota: number;
  /** `unreachable`: no connection comes about. `broken`: it answers 503. */
  readonly outage?: { readonly kind: "unreachable" | "broken"; readonly untilMs: number };
  readonly enrolledAtMs?: number;
}

export function modelService({ now, quota, outage, enrolledAtMs = 0 }: ServiceDay): Service {
  const requests: number[] = [];
  const refused: number[] = [];
  const served: number[] = [];

  function register(): { status: number; retryAfterMs?: number } | undefined {
    const at = Math.floor(now() / minute);
    const isOut = outage !== undefined && now() < outage.untilMs;
    if (isOut && outage.kind === "unreachable") return undefined;
    requests[at] = (requests[at] ?? 0) + 1;
    if (isOut) return { status: 503 };
    if ((served[at] ?? 0) >= quota) {
      refused[at] = (refused[at] ?? 0) + 1;
      // The same moment for all who are refused, which is the hardest that a service can ask for.
      return { status: 429, retryAfterMs: Math.max(1_000, (at + 1) * minute - now()) };
    }
    served[at] = (served[at] ?? 0) + 1;
    return {
      status: now() < enrolledAtMs ? 404 : 202,
      ...(now() >= enrolledAtMs && { retryAfterMs: 3_000 }),
    };
  }

  const transport = (registrationId: string): Transport => ({
    name: "mqtt",
    send: async (request): Promise<DpsAnswer> => {
      if (request.kind === "operation") return { status: 200, body: assigned(registrationId) };
      const answer = register();
      if (!answer) throw new MooringError("ERR_CONNECT", "cannot connect");
      if (answer.status !== 202) return { ...answer, body: undefined };
      const isChallenged = request.body.tpm !== undefined && request.authorization === undefined;
      return isChallenged ? { status: 401, body: { authenticationKey } } : { ...answer, body: assigning };
    },
    close: async () => {},
  });
  return { requests, refused, transport, register };
}

const operationId = "5.0123456789abcdef.00000000-0000-0000-0000-000000000000";
/** Never looked at here: the devices of the model have no TPM. */
const authenticationKey = Buffer.alloc(956).toString("base64");
const assigning = { operationId, status: "assigning" };
const assigned = (registrationId: string): unknown => ({
  operationId,
  status: "assigned",
  registrationState: {
    registrationId,
    assignedHub: "contoso.azure-devices.net",
    deviceId: registrationId,
    status: "assigned",
    tpm: { authenticationKey },
  },
});
