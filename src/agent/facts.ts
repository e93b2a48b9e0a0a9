// Templates of the configuration meet the facts of this machine and its identity. A value without placeholders passes
// as it is, and nothing is read for it.

import { factsUsedIn, fillIn } from "../config/templates.ts";
import { MooringError } from "../errors.ts";
import { requireRegistrationId } from "../identity/registration-id.ts";
import type { Fact } from "../system/facts.ts";
import type { Log } from "../system/log.ts";

/** Facts that come from the identity, as far as it is known: a certificate's common name, a TPM's endorsement key. */
export interface OwnFacts {
  readonly cn?: string | undefined;
  readonly "ek-sha256"?: string | undefined;
}

/**
 * `template` with its facts. `where` names its place in the configuration.
 * Throws ERR_FACT_MISSING, naming the fact.
 */
export async function expand<Value>(template: Value, where: string, own: OwnFacts): Promise<Value> {
  const known = new Map<string, string>();
  for (const name of factsUsedIn(template)) {
    const fact = await factOf(name, own);
    if ("missing" in fact) {
      throw new MooringError(
        "ERR_FACT_MISSING",
        `${where} uses \${${name}}, which this machine lacks: ${fact.missing}`,
      );
    }
    known.set(name, fact.value);
  }
  return known.size === 0 ? template : fillIn(template, known);
}

const idPlace = "[identity] registration_id";

/** The registration id of a template, held to DPS's rules. Throws ERR_FACT_MISSING, ERR_REGISTRATION_ID_INVALID. */
export async function registrationIdFrom(template: string, own: OwnFacts): Promise<string> {
  const id = await expand(template, idPlace, own);
  return requireRegistrationId(id, id === template ? idPlace : `${idPlace} "${template}" on this machine`);
}

/** The same, unchecked, to compare with what is saved; undefined when a fact is missing just now. */
export async function registrationIdIfKnown(
  template: string,
  own: OwnFacts,
  { log }: { log: Log },
): Promise<string | undefined> {
  try {
    return await expand(template, idPlace, own);
  } catch (error) {
    if (!(error instanceof MooringError && error.code === "ERR_FACT_MISSING")) throw error;
    log.warn("identity.fact-missing", { code: error.code, error: error.message });
    return undefined;
  }
}

/** One fact by its name. */
export async function factOf(name: string, own: OwnFacts): Promise<Fact> {
  switch (name) {
    case "cn":
      return own.cn === undefined
        ? { missing: "its identity is no X.509 certificate with one common name" }
        : { value: own.cn };
    case "ek-sha256":
      return own["ek-sha256"] === undefined
        ? { missing: "its identity is no TPM" }
        : { value: own["ek-sha256"] };
    default:
      return (await import("../system/facts.ts")).machineFact(name);
  }
}
