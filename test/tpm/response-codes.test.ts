import { describe, expect, it } from "vitest";
import { isForgotten, isOutOfSlots, tpmError } from "../../src/tpm/response-codes.ts";

const codeOf = (rc: number, keyIsToBlame = false): string =>
  tpmError(rc, "cannot", "words", { keyIsToBlame }).code;

describe("a response code", () => {
  it.each([
    ["0x100", "INITIALIZE", "ERR_TPM_UNAVAILABLE"],
    ["0x101", "FAILURE", "ERR_TPM_COMMAND"],
    ["0x14b", "NV_SPACE", "ERR_TPM_COMMAND"],
    ["0x14c", "NV_DEFINED", "ERR_TPM_HANDLE_OCCUPIED"],
    ["0x902", "OBJECT_MEMORY", "ERR_TPM_BUSY"],
    ["0x903", "SESSION_MEMORY", "ERR_TPM_BUSY"],
    ["0x90a", "TESTING", "ERR_TPM_BUSY"],
    ["0x920", "NV_RATE", "ERR_TPM_BUSY"],
    ["0x921", "LOCKOUT", "ERR_TPM_LOCKOUT"],
    ["0x922", "RETRY", "ERR_TPM_BUSY"],
    ["0x98e", "AUTH_FAIL in session 1", "ERR_TPM_AUTHORIZATION"],
    ["0x9a2", "BAD_AUTH in session 1", "ERR_TPM_AUTHORIZATION"],
    ["0x185", "HIERARCHY of handle 1", "ERR_TPM_COMMAND"],
    ["0x18b", "HANDLE 1", "ERR_TPM_COMMAND"],
    ["0x1df", "INTEGRITY of parameter 1", "ERR_TPM_COMMAND"],
    ["0xc0902", "OBJECT_MEMORY, from the resource manager", "ERR_TPM_BUSY"],
    ["0xc0921", "LOCKOUT, from the resource manager", "ERR_TPM_LOCKOUT"],
    ["0xa000a", "TCTI IO_ERROR", "ERR_TPM_UNAVAILABLE"],
    ["0xa0008", "TCTI NO_CONNECTION", "ERR_TPM_UNAVAILABLE"],
    ["0x70007", "ESYS BAD_SEQUENCE", "ERR_INTERNAL"],
    ["0x7001b", "ESYS RSP_AUTH_FAILED", "ERR_TPM_COMMAND"],
    ["0x70018", "ESYS BAD_TR", "ERR_TPM_COMMAND"],
    ["0x4d0001", "our ABSENT", "ERR_TPM_COMMAND"],
    ["0x4d0002", "our NOT_A_ROOT_KEY", "ERR_TPM_HANDLE_OCCUPIED"],
    ["0x4d0003", "our INCONSISTENT", "ERR_TPM_COMMAND"],
    ["0x4d0004", "our BAD_KEY", "ERR_TPM_KEY_REJECTED"],
    ["0x4d0005", "our OTHER_OBJECT", "ERR_TPM_HANDLE_OCCUPIED"],
    ["0x4d0009", "our ARGUMENT", "ERR_INTERNAL"],
    ["0x4d000a", "our TIMEOUT", "ERR_TPM_TIMEOUT"],
  ])("%s (%s) is %s", (rc, _name, code) => {
    expect(codeOf(Number(rc))).toBe(code);
  });

  it.each([
    ["0x1df", "INTEGRITY of parameter 1", "ERR_TPM_KEY_REJECTED"],
    ["0x2c2", "ATTRIBUTES of parameter 2", "ERR_TPM_KEY_REJECTED"],
    ["0x0a5", "BINDING", "ERR_TPM_KEY_REJECTED"],
    ["0x101", "FAILURE to decrypt", "ERR_TPM_KEY_REJECTED"],
    ["0x18b", "HANDLE 1", "ERR_TPM_COMMAND"],
    ["0x9a2", "BAD_AUTH in session 1", "ERR_TPM_AUTHORIZATION"],
    ["0x921", "LOCKOUT", "ERR_TPM_LOCKOUT"],
    ["0x902", "OBJECT_MEMORY", "ERR_TPM_BUSY"],
  ])("%s (%s) is %s when a key came from outside", (rc, _name, code) => {
    expect(codeOf(Number(rc), true)).toBe(code);
  });

  it("goes along with the error, in words and in hexadecimal", () => {
    const error = tpmError(0x921, "cannot sign with the key at 0x81000100", "tpm:warn(2.0): lockout");
    expect(error.message).toBe("cannot sign with the key at 0x81000100: tpm:warn(2.0): lockout (0x921)");
    expect(error.details.rc).toBe(0x921);
  });

  it.each([
    [0x902, "/dev/tpmrm0"],
    [0x922, "[identity.tpm] timeout"],
  ])("%i is busy for a reason of its own", (rc, hint) => {
    expect(tpmError(rc, "cannot sign", "busy").hint).toContain(hint);
  });

  it.each([0x902, 0x903, 0x905, 0x906, 0xc0903])("%i means that slots are taken", (rc) => {
    expect(isOutOfSlots(rc)).toBe(true);
  });

  it.each([0x910, 0x918, 0x91e, 0xc0918])("%i means that the TPM was reset", (rc) => {
    expect(isForgotten(rc)).toBe(true);
  });

  it.each([0, 0x90f, 0x921, 0x4d0918])("%i does not mean that the TPM was reset", (rc) => {
    expect(isForgotten(rc)).toBe(false);
  });

  it.each([0, 0x921, 0x922, 0x4d0902])("%i does not mean that slots are taken", (rc) => {
    expect(isOutOfSlots(rc)).toBe(false);
  });
});
