// Custom allocation: what the enrollment's webhook is asked, and what its answer may be (DPS concepts, custom
// allocation policies). Whatever goes wrong with it is the device's failed registration, and the operator's log.

import * as v from "valibot";
import { MooringError } from "../errors.ts";
import type { Log } from "../system/log.ts";
import type { Admission } from "./admission.ts";
import { type Allocation, candidateHubs } from "./allocation.ts";
import { describeCertificate, readLeaf } from "./attestation/certificates.ts";
import { sizedPublic } from "./attestation/tpm-public.ts";
import { initialTwin } from "./enrollment-body.ts";
import { jsonObject, parseJson } from "./json-input.ts";
import type { CertificateInfo, EnrollmentGroup, IndividualEnrollment, LinkedHub } from "./records.ts";
import { type Place, policyFor } from "./reprovision.ts";
import { keyOf } from "./tables.ts";
import type { Webhook } from "./webhook.ts";

export interface AllocationQuestion {
  readonly individualEnrollment?: unknown;
  readonly enrollmentGroup?: unknown;
  readonly deviceRuntimeContext: {
    readonly registrationId: string;
    readonly currentIotHubHostName?: string;
    readonly currentDeviceId?: string;
    /** The leaf as base64 DER, which functions written for Azure read, and what it says. */
    readonly x509?: { readonly clientCertificate?: string; readonly certificateInfo?: CertificateInfo };
    readonly symmetricKey?: Record<string, never>;
    readonly tpm?: { readonly endorsementKey: string; readonly storageRootKey: string };
    readonly payload?: unknown;
  };
  readonly linkedHubs: readonly string[];
}

export interface AskingDevice {
  readonly admission: Admission;
  readonly registrationId: string;
  readonly apiVersion: string;
  /** DER; the leaf comes first. */
  readonly certificates: readonly Buffer[];
  readonly payload?: unknown;
  /** Where it is now, if it was assigned before. */
  readonly present?: Place;
}

/** The body of the POST, an AllocationRequest. */
export function allocationQuestion(
  device: AskingDevice,
  linkedHubs: readonly LinkedHub[],
): AllocationQuestion {
  const { admission, registrationId, present, payload } = device;
  const { enrollment } = admission;
  const shown = { ...enrollment, attestation: { type: enrollment.attestation.type } };
  return {
    ...("enrollmentGroupId" in enrollment ? { enrollmentGroup: shown } : { individualEnrollment: shown }),
    deviceRuntimeContext: {
      registrationId,
      ...(present && { currentIotHubHostName: present.hub, currentDeviceId: present.deviceId }),
      ...attestationContext(device),
      ...(payload !== undefined && { payload }),
    },
    linkedHubs: possibleHubs(device, linkedHubs),
  };
}

/** A device that is never moved can only be left where it is. */
function possibleHubs(
  { admission: { enrollment }, apiVersion, present }: AskingDevice,
  linkedHubs: readonly LinkedHub[],
): readonly string[] {
  const { updateHubAssignment } = policyFor(enrollment.reprovisionPolicy, apiVersion);
  if (present && !updateHubAssignment) return [present.hub];
  return candidateHubs(enrollment, linkedHubs).map(({ hostName }) => hostName);
}

function attestationContext({
  admission: { attestation, authentication },
  certificates,
}: AskingDevice): Pick<AllocationQuestion["deviceRuntimeContext"], "x509" | "symmetricKey" | "tpm"> {
  if (authentication.type === "tpm") {
    const { endorsementKey, storageRootKey } = authentication.keys;
    return {
      tpm: { endorsementKey: sizedPublic(endorsementKey), storageRootKey: sizedPublic(storageRootKey) },
    };
  }
  if (attestation === "symmetricKey") return { symmetricKey: {} };
  const leaf = readLeaf(certificates);
  if (leaf === undefined) return { x509: {} };
  const clientCertificate = leaf.raw.toString("base64");
  return { x509: { clientCertificate, certificateInfo: describeCertificate(leaf) } };
}

const answerSchema = jsonObject({
  iothubhostname: v.string(),
  initialtwin: v.nullish(initialTwin),
  payload: v.optional(v.unknown()),
});

const failure = (why: string): Allocation => ({
  errorCode: 400207,
  errorMessage: `Custom allocation failed${why}`,
});

/** Asks the webhook of the enrollment. Rejects with the signal's reason, and for nothing else. */
export async function askWebhook(
  webhook: Webhook,
  { customAllocationDefinition: definition }: IndividualEnrollment | EnrollmentGroup,
  question: AllocationQuestion,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<Allocation> {
  const { registrationId } = question.deviceRuntimeContext;
  if (definition === undefined) return failure(": the enrollment names no webhook.");
  try {
    const { status, text } = await webhook(definition.webhookUrl, question, { signal });
    log.debug("webhook.answered", { registrationId, status });
    return judgeAnswer(status, text, question.linkedHubs);
  } catch (error) {
    signal.throwIfAborted();
    log.warn("webhook.failed", { registrationId, error });
    const late = error instanceof MooringError && error.code === "ERR_DEADLINE";
    return failure(late ? ": the webhook did not answer in time." : ": the webhook cannot be reached.");
  }
}

/** An AllocationResponse; its members are found in any case, as Azure's documents spell them in two. */
function judgeAnswer(status: number, text: string, hubs: readonly string[]): Allocation {
  if (status !== 200) return failure(` with status code: ${status}`);
  const answer = v.safeParse(answerSchema, lowerCased(text));
  if (!answer.success) {
    const [issue] = answer.issues;
    return failure(`: the webhook's answer is wrong at ${v.getDotPath(issue) ?? "its root"}.`);
  }
  const { iothubhostname, initialtwin, payload } = answer.output;
  const hub = hubs.find((each) => keyOf(each) === keyOf(iothubhostname));
  if (hub === undefined) return failure(": the webhook named a hub that is none of linkedHubs.");
  return {
    hub,
    ...(initialtwin && { initialTwin: initialtwin }),
    ...(payload !== undefined && payload !== null && { payload }),
  };
}

function lowerCased(text: string): unknown {
  try {
    const value: unknown = parseJson(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name.toLowerCase(), each]));
  } catch {
    return undefined;
  }
}
