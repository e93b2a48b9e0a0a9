// Response codes of the TPM and of tpm2-tss, sorted into the errors that a person can act upon.
// TPM 2.0 Library, Part 2, 6.6 "TPM_RC"; TCG TSS 2.0 Overview and Common Structures, "Response codes".

import { type ErrorCode, MooringError } from "../errors.ts";

/** Codes of native/mooring-tpm.h that callers act upon. */
export const ownRc = { absent: 0x4d0001, otherIndex: 0x4d0006, timeout: 0x4d000a } as const;

/** TPM_RC_FAILURE: what a TPM in failure mode says to everything, and some say when decryption fails. */
export const rcFailure = 0x101;

/** TPM_RC_NV_SPACE: the TPM has no room for another index or persistent object. */
export const rcNvSpace = 0x14b;
/** Something is at the handle already. */
export const rcNvDefined = 0x14c;

const layer = { tpm: 0x00, tcti: 0x0a, resourceManager: 0x0c, own: 0x4d } as const;

/** TPM_RC_OBJECT_MEMORY, SESSION_MEMORY, SESSION_HANDLES, OBJECT_HANDLES. */
const noSlot = [0x902, 0x903, 0x905, 0x906];

interface Finding {
  readonly code: ErrorCode;
  readonly hint?: string;
}

const internal: Finding = { code: "ERR_INTERNAL" };
const full: Finding = { code: "ERR_TPM_BUSY" };
const busy: Finding = {
  code: "ERR_TPM_BUSY",
  hint: "the TPM was busy for as long as [identity.tpm] timeout allows: see who else uses it (`fuser /dev/tpm*`), or raise it",
};

// Codes that stand alone, each with its name.
const byCode: Readonly<Record<string, Finding>> = {
  "0x100": {
    code: "ERR_TPM_UNAVAILABLE", // INITIALIZE
    hint: "the TPM was not started: run `tpm2_startup -c`, or look at the firmware's log",
  },
  "0x14b": {
    code: "ERR_TPM_COMMAND", // NV_SPACE
    hint: "the TPM's memory is full: see `tpm2_getcap handles-persistent` and `tpm2_getcap handles-nv-index`",
  },
  "0x14c": { code: "ERR_TPM_HANDLE_OCCUPIED" }, // NV_DEFINED
  "0x902": full, // OBJECT_MEMORY
  "0x903": full, // SESSION_MEMORY
  "0x904": full, // MEMORY
  "0x905": full, // SESSION_HANDLES
  "0x906": full, // OBJECT_HANDLES
  "0x908": busy, // YIELDED
  "0x90a": busy, // TESTING
  "0x920": busy, // NV_RATE
  "0x921": { code: "ERR_TPM_LOCKOUT" }, // LOCKOUT
  "0x922": busy, // RETRY
  "0x923": busy, // NV_UNAVAILABLE
  "0x70007": internal, // ESYS_RC_BAD_SEQUENCE: of a call while another one is under way
  "0x7001b": {
    code: "ERR_TPM_COMMAND", // ESYS_RC_RSP_AUTH_FAILED
    hint: "an answer was not authentic: something between the TPM and this program changed it",
  },
  "0x4d0002": {
    code: "ERR_TPM_HANDLE_OCCUPIED", // NOT_A_ROOT_KEY
    hint: "the key there is of another kind, and may be what a disk is encrypted with: leave it, and name a free handle as [identity.tpm] endorsement_key_handle or storage_root_key_handle",
  },
  "0x4d0003": {
    code: "ERR_TPM_COMMAND", // INCONSISTENT
    hint: "something between the TPM and this program changes its answers",
  },
  "0x4d0004": { code: "ERR_TPM_KEY_REJECTED" }, // BAD_KEY
  "0x4d0005": { code: "ERR_TPM_HANDLE_OCCUPIED" }, // OTHER_OBJECT
  "0x4d0007": internal, // BUFFER
  "0x4d0008": internal, // MEMORY
  "0x4d0009": internal, // ARGUMENT
  "0x4d000a": { code: "ERR_TPM_TIMEOUT" }, // TIMEOUT
};

/** TSS2_BASE_RC NO_CONNECTION, IO_ERROR, INSUFFICIENT_RESPONSE, MALFORMED_RESPONSE: the connection is spent. */
const lostConnection = [0x08, 0x0a, 0x11, 0x12];

/** Codes that name a parameter, handle or session ("format one"): the error in bits 0-5, what it is about above. */
const formatOne = {
  flag: 0x80,
  error: 0x3f,
  aboutParameter: 0x40,
  number: 0xf00,
} as const;
const authorizationErrors = [0x0e, 0x22]; // AUTH_FAIL, BAD_AUTH
const disabledHierarchy = 0x05; // HIERARCHY

/** What was wrong with the key, when the failed command was one that takes a key from outside. */
function aboutKey(rc: number): boolean {
  return (rc & formatOne.aboutParameter) !== 0 || (rc & formatOne.number) === 0;
}

function classify(rc: number, keyIsToBlame: boolean): Finding {
  const of = rc >>> 16;
  const fromTpm = of === layer.tpm || of === layer.resourceManager;
  const known = byCode[hex(fromTpm ? rc & 0xffff : rc)];
  if (known) return known;
  if (of === layer.tcti) return { code: "ERR_TPM_UNAVAILABLE" };
  if (!fromTpm)
    return { code: lostConnection.includes(rc & 0xffff) ? "ERR_TPM_UNAVAILABLE" : "ERR_TPM_COMMAND" };
  if ((rc & formatOne.flag) === 0)
    return { code: keyIsToBlame && rc === rcFailure ? "ERR_TPM_KEY_REJECTED" : "ERR_TPM_COMMAND" };
  const error = rc & formatOne.error;
  if (authorizationErrors.includes(error)) return { code: "ERR_TPM_AUTHORIZATION" };
  if (error === disabledHierarchy)
    return {
      code: "ERR_TPM_COMMAND",
      hint: "the owner or endorsement hierarchy is disabled: enable it in the firmware's setup",
    };
  return { code: keyIsToBlame && aboutKey(rc) ? "ERR_TPM_KEY_REJECTED" : "ERR_TPM_COMMAND" };
}

/** True when loaded objects or sessions fill the TPM. */
export const isOutOfSlots = (rc: number): boolean => noSlot.includes(rc & 0xffff) && rc >>> 16 !== layer.own;

/** True when a session or object that was loaded is no longer: TPM_RC_REFERENCE_H0 to S6, after a reset of the TPM. */
export const isForgotten = (rc: number): boolean =>
  rc >>> 16 !== layer.own && (rc & 0xffff) >= 0x910 && (rc & 0xffff) <= 0x91e;

/**
 * The error for a response code. `attempted` says what was tried on what; `text` is the code in words; `keyIsToBlame`
 * that the command took a key that came from outside, so that a bad parameter means a bad key.
 */
export function tpmError(
  rc: number,
  attempted: string,
  text: string,
  { keyIsToBlame = false } = {},
): MooringError {
  const { code, hint } = classify(rc, keyIsToBlame);
  const words = code === "ERR_TPM_KEY_REJECTED" && rc === rcFailure ? "the TPM cannot decrypt it" : text;
  return new MooringError(code, `${attempted}: ${words} (${hex(rc)})`, {
    rc,
    ...(hint !== undefined && { hint }),
  });
}

const hex = (value: number): string => `0x${value.toString(16)}`;
