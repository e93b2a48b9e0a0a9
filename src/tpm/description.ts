// What a TPM says about itself, from the numbers of `mooring_tpm_facts` into words.

/** Properties of the TPM; counts are those of this moment. */
export interface TpmDescription {
  /** Four letters, such as `INTC`, `IFX`, `STM`, `IBM`. */
  readonly manufacturer: string;
  readonly vendor: string;
  /** As vendors print it: four numbers of 16 bits. */
  readonly firmwareVersion: string;
  /** Revision of the TPM 2.0 Library specification, such as 1.38. */
  readonly specificationRevision: number;
  readonly isOwnerAuthSet: boolean;
  readonly isEndorsementAuthSet: boolean;
  /** Dictionary-attack lockout: keys with an authorization value are refused until it ends. */
  readonly inLockout: boolean;
  readonly lockoutCounter: number;
  readonly lockoutLimit: number;
  readonly lockoutIntervalSeconds: number;
  readonly lockoutRecoverySeconds: number;
  readonly transientSlotsFree: number;
  readonly sessionSlotsFree: number;
  readonly persistentSlotsFree: number;
}

/** Size of `mooring_tpm_facts`: sixteen uint32_t. */
export const factsSize = 16 * 4;

export function describeFacts(facts: Buffer): TpmDescription {
  const values = new Uint32Array(facts.buffer.slice(facts.byteOffset, facts.byteOffset + factsSize));
  const at = (index: number): number => values[index] ?? 0;
  const permanent = at(8);
  return {
    manufacturer: letters(at(0)),
    vendor: [1, 2, 3, 4]
      .map((index) => letters(at(index)))
      .join("")
      .trim(),
    firmwareVersion: [at(5) >>> 16, at(5) & 0xffff, at(6) >>> 16, at(6) & 0xffff].join("."),
    specificationRevision: at(7) / 100,
    isOwnerAuthSet: (permanent & 0x1) !== 0,
    isEndorsementAuthSet: (permanent & 0x2) !== 0,
    inLockout: (permanent & 0x200) !== 0,
    lockoutCounter: at(9),
    lockoutLimit: at(10),
    lockoutIntervalSeconds: at(11),
    lockoutRecoverySeconds: at(12),
    transientSlotsFree: at(13),
    sessionSlotsFree: at(14),
    persistentSlotsFree: at(15),
  };
}

function letters(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes.toString("latin1").replaceAll("\0", "");
}
