// Devices that prove themselves by keys derived from that of their group, registered by hand over HTTPS: quick to
// make in numbers.

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import type { LocalService } from "./local-service.ts";

/** Of a group, base64 of 64 bytes. */
export const groupKey = (group: string): string => Buffer.alloc(64, group).toString("base64");

export function groupOfKeys(enrollmentGroupId: string, settings: object = {}): object {
  const key = groupKey(enrollmentGroupId);
  return {
    enrollmentGroupId,
    attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
    ...settings,
  };
}

/** The status of the answer when a device of `group` registers. */
export async function register(
  { httpsPort, idScope, caFile }: LocalService,
  group: string,
  registrationId: string,
  payload?: unknown,
): Promise<number> {
  const key = createHmac("sha256", Buffer.from(groupKey(group), "base64"))
    .update(registrationId)
    .digest();
  const resource = encodeURIComponent(`${idScope}/registrations/${registrationId}`);
  const expiry = Math.floor(Date.now() / 1000) + 600;
  const signature = createHmac("sha256", key).update(`${resource}\n${expiry}`).digest("base64");
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
  sending.end(JSON.stringify({ registrationId, payload }));
  const [answer] = await once(sending, "response");
  answer.resume();
  await once(answer, "end");
  return answer.statusCode;
}
