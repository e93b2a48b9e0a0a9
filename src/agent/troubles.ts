// What could not be done here. It ends nothing: it is told, and stands in the way until it is over.

import { asMooringError, causeText, type MooringError } from "../errors.ts";
import type { Tools } from "./connect.ts";

/** Where something may be in the way; what is in the way of the last look comes first. */
const places = ["look", "outputs", "configuration"] as const;

type Place = (typeof places)[number];

export interface Troubles {
  /** Tells of it, and makes one of ours of it. Throws the signal's reason: being told to stop is none, and ends all. */
  tell(event: string, thrown: unknown): MooringError;
  /** Replaces what stands in the way there. Undefined: nothing does any more. */
  stand(place: Place, trouble: MooringError | undefined): void;
  at(place: Place): MooringError | undefined;
  /** What a person has to know first. */
  readonly first: MooringError | undefined;
}

export function createTroubles({ log, signal }: Pick<Tools, "log" | "signal">): Troubles {
  const standing = new Map<Place, MooringError>();
  return {
    tell: (event, thrown) => {
      signal.throwIfAborted();
      const failure = asMooringError(thrown);
      const { code, hint } = failure;
      if (code !== "ERR_CANCELLED") log.warn(event, { code, error: causeText(failure), hint });
      return failure;
    },
    stand: (place, trouble) => {
      if (trouble) standing.set(place, trouble);
      else standing.delete(place);
    },
    at: (place) => standing.get(place),
    get first() {
      return places.map((place) => standing.get(place)).find((trouble) => trouble);
    },
  };
}
