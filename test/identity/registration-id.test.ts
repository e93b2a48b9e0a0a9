import { describe, expect, it } from "vitest";
import { registrationIdProblem, requireRegistrationId } from "../../src/identity/registration-id.ts";
import { thrownBy } from "../support/thrown.ts";

describe("a registration id", () => {
  it.each(["a", "A-1", "gw.0:1_x", "-", "9", "trailing-", "a".repeat(128)])("may be %j", (id) => {
    expect(registrationIdProblem(id)).toBeUndefined();
    expect(requireRegistrationId(id, "it")).toBe(id);
  });

  it.each([
    ["", "it is empty"],
    ["a".repeat(129), "it has 129 characters; 128 are allowed"],
    ["gw 1", '" " is not allowed; A-Z a-z 0-9 - . _ : are'],
    ["gw/1", '"/" is not allowed; A-Z a-z 0-9 - . _ : are'],
    ["gw😀", '"😀" is not allowed; A-Z a-z 0-9 - . _ : are'],
    ["gw\n", '"\\n" is not allowed; A-Z a-z 0-9 - . _ : are'],
    ["gw.", 'it ends in "."; the last character is a letter, a digit or -'],
    ["gw_", 'it ends in "_"; the last character is a letter, a digit or -'],
  ])("may not be %j", async (id, problem) => {
    expect(registrationIdProblem(id)).toBe(problem);
    const error = await thrownBy(() => requireRegistrationId(id, "the common name of cert.pem"));
    expect(error.code).toBe("ERR_REGISTRATION_ID_INVALID");
    expect(error.message).toMatch(/^the common name of cert\.pem, ".*", is no registration id: /);
    expect(error.message).toContain(problem);
  });
});
