import { describe, expect, it } from "vitest";
import { hasExpired, parseSasToken, signedWith } from "../../../src/service/attestation/sas-token.ts";
import vectors from "../../fixtures/dps-vectors.json" with { type: "json" };
import { sasToken } from "../desk.ts";

const key = Buffer.from("the key of the device");
const resource = "0ne00012345%2fregistrations%2fgw-1";

describe("a SAS token", () => {
  it("of Azure's Node SDK verifies with its key, and with no other", () => {
    const [{ sr, se, sigUrlEncoded, keyB64 } = expect.fail()] = vectors.sas;
    const token = parseSasToken(`SharedAccessSignature sr=${sr}&sig=${sigUrlEncoded}&se=${se}`);
    expect(token && signedWith(token, Buffer.from(keyB64, "base64"))).toBe(true);
    expect(token && signedWith(token, Buffer.from("another"))).toBe(false);
  });

  it.each([
    // azure-sdk-for-c test_az_iot_provisioning_client_sas.c: mixed hex case, no padding, no skn
    "SharedAccessSignature sr=0neFEEDC0DE%2fregistrations%2fmyRegistrationId&sig=cS1eHM%2FlDjsRsrZV9508wOFrgmZk4g8FNg8NwHVSiSQ&se=1578941692",
    // MicrosoftDocs/azure-docs#43157: another order
    "SharedAccessSignature sr=0ne00055500%2Fregistrations%2Fmqtt-dps-test01&skn=registration&sig=WWwRu6cyRR1bR%2FFuGdYLPNK3B3mPbGW5thh7CfP1Bz4%3D&se=1577797657",
    // MicrosoftDocs/azure-docs how-to-control-access.md
    "SharedAccessSignature sr=mydps.azure-devices-provisioning.net&sig=JdyscqTpXdEJs49elIUCcohw2DlFDR3zfH5KqGJo4r4%3D&se=1456973447&skn=enrollmentread",
  ])("as real clients write it is read: %s", (text) => {
    expect(parseSasToken(text)?.signature).toHaveLength(32);
  });

  it("is signed over its resource as written, in any order, hex case and base64 encoding", () => {
    const token = sasToken({ resource, key, expiry: "1893456000" });
    const [sr, sig, se, skn] = token.replace("SharedAccessSignature ", "").split("&");
    const raw = decodeURIComponent(sig ?? "");
    for (const text of [
      `${skn}&${se}&${sig}&${sr}`,
      `${sr}&${raw}&${se}`,
      `${sig?.toLowerCase().slice(0, 4)}${raw.slice(4)}&${se}&${sr}`,
    ]) {
      const parsed = parseSasToken(`SharedAccessSignature ${text}`);
      expect(parsed && signedWith(parsed, key), text).toBe(true);
      expect(parsed?.resource).toBe("0ne00012345/registrations/gw-1");
    }
    const upper = parseSasToken(token.replace(resource, resource.toUpperCase()));
    expect(upper && signedWith(upper, key)).toBe(false);
  });

  it("may expire in milliseconds, which is far away", () => {
    const token = parseSasToken(sasToken({ resource, key, expiry: "1795392000000" }));
    expect(token && hasExpired(token, Date.UTC(2026, 10, 22))).toBe(false);
  });

  it("is good for five minutes longer than it says, and no longer", () => {
    const token = parseSasToken(sasToken({ resource, key, expiry: "1000" })) ?? expect.fail();
    expect(hasExpired(token, 1_300_000)).toBe(false);
    expect(hasExpired(token, 1_300_001)).toBe(true);
  });

  it.each([
    "",
    "Bearer abc",
    "SharedAccessSignature",
    "SharedAccessSignature sr=a&se=1",
    "SharedAccessSignature sr=a&sig=b",
    "SharedAccessSignature sr=a&sig=b&se=soon",
    "SharedAccessSignature sr=a&sig=b&se=-1",
    "SharedAccessSignature sr=a&sr=b&sig=b&se=1",
    "SharedAccessSignature sr=a&sig=b&se=1&=x",
  ])("is not read from %j", (text) => {
    expect(parseSasToken(text)).toBeUndefined();
  });
});
