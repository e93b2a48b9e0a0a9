// A store and a device API on it, as tests of the service use them: in a temporary directory, at a time that stands
// still, with enrollments written the way operators write them.

import { createHmac } from "node:crypto";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { MooringError } from "../../src/errors.ts";
import {
  createDeviceApi,
  type DeviceAnswer,
  type DeviceApiOptions,
  type DeviceRequest,
} from "../../src/service/device-api.ts";
import { groupKind, individualKind } from "../../src/service/enrollment-kind.ts";
import { putEnrollment } from "../../src/service/enrollments.ts";
import type { EnrollmentGroup, IndividualEnrollment } from "../../src/service/records.ts";
import { openStore, type Store } from "../../src/service/store.ts";
import type { Webhook } from "../../src/service/webhook.ts";
import { type RecordingLog, recordingLog } from "../support/recording-log.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { type VirtualClock, virtualClock } from "../support/virtual-clock.ts";

/** Inside the validity of what the certificate workshop issues. */
const startOfTest = Date.now() + 60_000;

export const temporaryFile = (name: string): string => join(temporaryDirectory(), name);

export function temporaryStore(): Store {
  const store = openStore(temporaryFile("service.db"));
  onTestFinished(() => store.close());
  return store;
}

export interface Desk {
  readonly store: Store;
  readonly clock: VirtualClock;
  readonly api: ReturnType<typeof createDeviceApi>;
  readonly log: RecordingLog;
  enroll(registrationId: string, body: Record<string, unknown>): IndividualEnrollment;
  enrollGroup(enrollmentGroupId: string, body: Record<string, unknown>): EnrollmentGroup;
  /** A request over HTTPS with a current api-version, unless the test says otherwise. */
  ask(request: Ask): Promise<DeviceAnswer & { body: AnswerBody }>;
  /** A token for `registrationId`, good for an hour. */
  token(registrationId: string, key: string | Buffer): string;
}

export interface Ask extends Partial<Omit<DeviceRequest, "body" | "registrationId">> {
  readonly registrationId: string;
  readonly body?: unknown;
}

/** What an answer may have inside. */
interface AnswerBody {
  operationId: string;
  status: string;
  registrationState: Record<string, unknown> & { tpm?: { authenticationKey: string } };
  authenticationKey: string;
  errorCode: number;
  message: string;
  trackingId: string;
}

export function openDesk(options: Partial<DeviceApiOptions> = {}): Desk {
  const store = options.store ?? temporaryStore();
  const clock = virtualClock(startOfTest);
  const log = recordingLog();
  const api = createDeviceApi({ store, clock, log, webhook: noWebhook, retryAfterSeconds: 3, ...options });
  const context = { store, apiVersion: "2021-10-01", now: clock.now() };
  return {
    store,
    clock,
    api,
    log,
    enroll: (id, body) => putEnrollment(individualKind, { id, body }, context),
    enrollGroup: (id, body) => putEnrollment(groupKind, { id, body }, context),
    ask: async ({ body, ...request }) =>
      (await api.handle({
        transport: "https",
        operation: "register",
        idScope: store.idScope,
        apiVersion: "2021-06-01",
        certificates: [],
        body: body instanceof Uint8Array ? body : Buffer.from(body === undefined ? "" : JSON.stringify(body)),
        ...request,
      })) as DeviceAnswer & { body: AnswerBody },
    token: (registrationId, key) =>
      sasToken({
        resource: encodeURIComponent(`${store.idScope}/registrations/${registrationId}`),
        key,
        expiry: String(Math.floor(clock.now() / 1000) + 3600),
      }),
  };
}

const noWebhook: Webhook = async () => {
  throw new MooringError("ERR_CONNECT", "nobody is at the webhook");
};

/** Written out by hand; `resource` and `expiry` go into the token as they are. */
export function sasToken({
  resource,
  key,
  expiry,
  keyName = "registration",
}: {
  resource: string;
  /** Base64, or the bytes. */
  key: string | Buffer;
  expiry: string;
  keyName?: string;
}): string {
  const bytes = typeof key === "string" ? Buffer.from(key, "base64") : key;
  const signature = createHmac("sha256", bytes).update(`${resource}\n${expiry}`).digest("base64");
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=${keyName}`;
}
