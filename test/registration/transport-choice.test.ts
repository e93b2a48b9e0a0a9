import { describe, expect, it } from "vitest";
import { MooringError } from "../../src/errors.ts";
import { anotherTransportMayHelp, chooseTransport } from "../../src/registration/transport-choice.ts";
import { thrownBy } from "../support/thrown.ts";

describe("chooseTransport()", () => {
  it.each([
    ["auto", "tpm", false, ["https"]],
    ["https", "tpm", true, ["https"]],
    ["auto", "x509", false, ["mqtt", "mqtt-ws", "https"]],
    ["auto", "symmetricKey", false, ["mqtt", "mqtt-ws", "https"]],
    ["auto", "x509", true, ["mqtt-ws", "https"]],
    ["mqtt", "x509", true, ["mqtt"]],
    ["mqtt-ws", "symmetricKey", false, ["mqtt-ws"]],
    ["https", "x509", false, ["https"]],
  ] as const)("%s with %s (proxy: %s) tries %j", (configured, attestation, hasProxy, order) => {
    const choice = chooseTransport({ configured, attestation, hasProxy });
    expect(choice.order).toEqual(order);
    expect(choice.because).not.toBe("");
  });

  it.each(["mqtt", "mqtt-ws"] as const)(
    "refuses %s for TPM attestation, and says why",
    async (configured) => {
      const error = await thrownBy(() =>
        chooseTransport({ configured, attestation: "tpm", hasProxy: false }),
      );
      expect(error.code).toBe("ERR_CONFIG_INVALID");
      expect(error.message).toContain("use `https`");
    },
  );
});

describe("falling back", () => {
  it.each(["ERR_CONNECT", "ERR_PROXY", "ERR_TLS_SERVER"] as const)("helps against %s", (code) => {
    expect(anotherTransportMayHelp(new MooringError(code, "x"))).toBe(true);
  });

  it.each([
    "ERR_UNAUTHORIZED",
    "ERR_NOT_ENROLLED",
    "ERR_DEADLINE",
    "ERR_DNS",
    "ERR_TLS_CLIENT",
    // Each transport would show the same credentials, and directories lock accounts over it.
    "ERR_PROXY_AUTHORIZATION",
  ] as const)("does not help against %s", (code) =>
    expect(anotherTransportMayHelp(new MooringError(code, "x"))).toBe(false),
  );

  it("does not hide what is no failure of a line", () => {
    expect(anotherTransportMayHelp(new TypeError("x"))).toBe(false);
  });
});
