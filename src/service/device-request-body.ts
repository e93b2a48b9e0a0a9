// The JSON that a device sends to register, read strictly where it matters and kindly where clients differ.

import * as v from "valibot";
import type { DeviceRegistration } from "../registration/wire.ts";
import { jsonObject, parseJson, readInput } from "./json-input.ts";
import { Refusal } from "./refusal.ts";

/** The limit of DPS for one message. */
export const longestMessage = 96 * 1024;

const schema = jsonObject({
  registrationId: v.nullish(v.string()),
  tpm: v.nullish(jsonObject({ endorsementKey: v.string(), storageRootKey: v.nullish(v.string()) })),
  payload: v.optional(v.unknown()),
  csr: v.nullish(v.string()),
});

/** An empty or blank body is an empty registration. Throws a 400000 that names what is wrong. */
export function readDeviceRegistration(body: Uint8Array): DeviceRegistration {
  if (body.byteLength > longestMessage) {
    throw new Refusal(400000, `The message is larger than ${longestMessage} bytes.`);
  }
  const { registrationId, tpm, payload, csr } = readInput(schema, parseJson(decode(body)) ?? {});
  if (csr) throw new Refusal(400000, "csr: this service issues no certificates");
  return {
    ...(registrationId && { registrationId }),
    ...(tpm && {
      tpm: {
        endorsementKey: tpm.endorsementKey,
        ...(tpm.storageRootKey && { storageRootKey: tpm.storageRootKey }),
      },
    }),
    ...(payload !== null && payload !== undefined && { payload }),
  };
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new Refusal(400000, "The body is not UTF-8.");
  }
}
