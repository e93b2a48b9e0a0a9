// What an act throws, as the error that users would see.

import { expect } from "vitest";
import { MooringError } from "../../src/errors.ts";

/** The MooringError that `act` ends with; anything else fails the test. */
export async function thrownBy(act: () => unknown): Promise<MooringError> {
  try {
    await act();
  } catch (error) {
    expect(error).toBeInstanceOf(MooringError);
    return error as MooringError;
  }
  return expect.fail("nothing was thrown");
}
