// Devices that prove themselves by keys derived from that of their group, registered by hand over HTTPS: quick to
// make in numbers.

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import type { LocalService } from "./local-service.ts";

/** Base64 of 64 bytes, the same for every test. */
export const groupKey = Buffer.alloc(64, "mooring").toString("base64");

export const groupOfKeys = (enrollmentGroupId: string, settings: object = {}): object => ({
  enrollmentGroupId,
  attestation: { type: "symmetricKey", symmetricKey: { primaryKey: groupKey, secondaryKey: groupKey } },
  ...settings,
});

/** The status of the answer to one registration. `key` is base64. */
export async function register(
  { httpsPort, idScope, caFile }: LocalService,
  registrationId: string,
  key: string = derivedKey(registrationId),
): Promise<number> {
  const resource = encodeURIComponent(`${idScope}/registrations/${registrationId}`);
  const expiry = Math.floor(Date.now() / 1000) + 600;
  const signature = createHmac("sha256", Buffer.from(key, "base64"))
    .update(`${resource}\n${expiry}`)
    .digest("base64");
  const sending = request({
    host: "localhost",
    port: httpsPort,
    ca: readFileSync(caFile),
    method: "PUT",
    path: `/${idScope}/registrations/${registrationId}/register?api-version=2021-06-01`,
    agent: false,
    headers: {
      "content-type": "application/json",
      authorization: `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiry}&skn=registration`,
    },
  });
  sending.end(JSON.stringify({ registrationId }));
  const [answer] = await once(sending, "response");
  answer.resume();
  await once(answer, "end");
  return answer.statusCode;
}

const derivedKey = (registrationId: string): string =>
  createHmac("sha256", Buffer.from(groupKey, "base64")).update(registrationId).digest("base64");
