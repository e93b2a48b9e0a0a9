// The keys that make this TPM what it is: found where they belong, made there when missing; and the certificate that
// its manufacturer gave to the first of them.

import type { Log } from "../system/log.ts";
import { capacity, hex, output } from "./arguments.ts";
import type { Connection } from "./connection.ts";
import type { RootKeyHandles } from "./handles.ts";
import { ownRc, rcNvDefined } from "./response-codes.ts";

const uniqueForms = { zeros: 0, empty: 1 } as const;

/** `unique` of the templates when EK and SRK have to be created; the two forms make different keys. */
export type UniqueForm = keyof typeof uniqueForms;

interface RootKey {
  readonly read: "endorsement_key" | "storage_root_key";
  readonly create: "create_endorsement_key" | "create_storage_root_key";
  readonly title: string;
}

const rootKeys = {
  endorsement: {
    read: "endorsement_key",
    create: "create_endorsement_key",
    title: "endorsement key",
  },
  storage: {
    read: "storage_root_key",
    create: "create_storage_root_key",
    title: "storage root key",
  },
} as const satisfies Record<keyof RootKeyHandles, RootKey>;

/** TPM2B_PUBLIC of the key, which is made and kept at its handle when missing. */
export async function findOrCreate(
  connection: Connection,
  which: keyof RootKeyHandles,
  { uniqueForm = "zeros", log }: { readonly uniqueForm?: UniqueForm; readonly log: Log },
) {
  const { read, create, title } = rootKeys[which];
  const handle = connection.rootKeyHandles[which];
  const attempted = `cannot read the ${title} at ${hex(handle)}`;
  const find = (expected: readonly number[]): Promise<Buffer | undefined> =>
    output(capacity.publicArea, (out, size) => connection.call(read, [out, size], { attempted, expected }));

  const found = await find([ownRc.absent]);
  if (found) return found;
  const rc = await connection.call(create, [uniqueForms[uniqueForm]], {
    attempted: `cannot create the ${title} at ${hex(handle)}`,
    expected: [rcNvDefined],
  });
  // Where another program was faster, its key is read, and held to be one like any that was there before.
  if (rc === 0) log.info("tpm.key-created", { handle: hex(handle), key: title, template: uniqueForm });
  return (await find([])) as Buffer;
}

/** DER, when the TPM carries one. */
export async function readCertificate(connection: Connection): Promise<Buffer | undefined> {
  const attempt = { attempted: "cannot read the endorsement certificate", expected: [ownRc.absent] };
  const content = await output(capacity.certificate, (out, size) =>
    connection.call("endorsement_certificate", [out, size], attempt),
  );
  return content && withoutPadding(content);
}

/** Manufacturers pad the index with zeros or ones behind the certificate; DER says how long it is. */
function withoutPadding(content: Buffer): Buffer {
  const isLongSequence = content[0] === 0x30 && content[1] === 0x82 && content.length > 4;
  return isLongSequence ? content.subarray(0, 4 + content.readUInt16BE(2)) : content;
}
