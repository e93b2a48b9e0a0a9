// Held against literal topics, user names and tokens of Azure's own SDKs and documents.

import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { sasToken } from "../../src/registration/sas.ts";
import {
  mqttUsername,
  operationPath,
  operationTopic,
  parseResponseTopic,
  registerPath,
  registerTopic,
  responseTopic,
} from "../../src/registration/wire.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };

describe("topics", () => {
  it("asks to register under the request id, percent-encoded", () => {
    expect(registerTopic("1")).toBe("$dps/registrations/PUT/iotdps-register/?$rid=1");
    expect(registerTopic("invalid$request?id")).toBe(
      "$dps/registrations/PUT/iotdps-register/?$rid=invalid%24request%3Fid",
    );
  });

  it("asks for an operation by its id", () => {
    expect(operationTopic("1", "4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d")).toBe(
      "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=4.d0a671905ea5b2c8.42d78160-4c78-479e-8be7-61d5e55dac0d",
    );
    expect(operationTopic("invalid/request/id", "invalid/operation/id")).toBe(
      "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=invalid%2Frequest%2Fid&operationId=invalid%2Foperation%2Fid",
    );
  });

  it("puts $rid right behind the question mark of an answer", () => {
    expect(responseTopic(202, "a%24b", 3)).toBe("$dps/registrations/res/202/?$rid=a%24b&retry-after=3");
    expect(responseTopic(200, "1")).toBe("$dps/registrations/res/200/?$rid=1");
  });

  it.each(vectors.responseTopics.filter((v) => v.status !== undefined))("reads $topic", (vector) => {
    const read = parseResponseTopic(vector.topic);
    expect(read?.status).toBe(vector.status);
    if (vector.rid !== undefined) expect(read?.requestId).toBe(vector.rid);
    if (typeof vector.retryAfter === "number") expect(read?.retryAfterSeconds).toBe(vector.retryAfter);
  });

  it.each(vectors.responseTopics.filter((v) => v.retryAfter === null || typeof v.retryAfter === "string"))(
    "takes no delay from $topic",
    (vector) => expect(parseResponseTopic(vector.topic)?.retryAfterSeconds).toBeUndefined(),
  );

  it.each(vectors.responseTopics.filter((v) => v.isResponse === false))(
    "does not take $topic for an answer",
    (v) => expect(parseResponseTopic(v.topic)).toBeUndefined(),
  );
});

describe("names and paths", () => {
  it("names scope, registration id, version and client in the MQTT user name", () => {
    expect(mqttUsername("0neFEEDC0DE", "myRegistrationId", "c/1.2.3")).toBe(
      "0neFEEDC0DE/registrations/myRegistrationId/api-version=2021-06-01&ClientVersion=c%2F1.2.3",
    );
  });

  it("encodes every segment of a path", () => {
    expect(registerPath("0ne1", "a:b")).toBe("/0ne1/registrations/a%3Ab/register?api-version=2021-06-01");
    expect(operationPath("0ne1", "a", "5.x/y")).toBe(
      "/0ne1/registrations/a/operations/5.x%2Fy?api-version=2021-06-01",
    );
  });
});

describe("a SAS token", () => {
  it.each(vectors.sas)("signs what the SDK signs: $source", async ({ keyB64, sr, se, sigUrlEncoded }) => {
    if (!sr) return;
    const sign = async (data: Uint8Array) =>
      createHmac("sha256", Buffer.from(String(keyB64), "base64"))
        .update(data)
        .digest();
    const token = await sasToken({ resource: sr, expiresAtSeconds: Number(se), keyName: "k", sign });
    expect(token).toBe(`SharedAccessSignature sr=${sr}&sig=${sigUrlEncoded}&se=${se}&skn=k`);
  });

  it("encodes the resource once, and signs it as encoded", async () => {
    let signed = "";
    const token = await sasToken({
      resource: "0ne1/registrations/dev",
      expiresAtSeconds: 1578941692.9,
      keyName: "registration",
      sign: async (data) => {
        signed = new TextDecoder().decode(data);
        return Uint8Array.from([251, 255]);
      },
    });
    expect(signed).toBe("0ne1%2Fregistrations%2Fdev\n1578941692");
    expect(token).toBe(
      "SharedAccessSignature sr=0ne1%2Fregistrations%2Fdev&sig=%2B%2F8%3D&se=1578941692&skn=registration",
    );
  });
});
