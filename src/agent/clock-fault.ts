// Whose fault a failed attempt is. Certificates and tokens carry times, so a wrong clock makes every side refuse every
// other: that is said of the clock, and never taken for a refusal of this device.

import { MooringError } from "../errors.ts";
import { isOutOfDate } from "../system/network-error.ts";
import type { TrustedTime } from "../system/trusted-time.ts";

/** Runs an attempt; throws ERR_CLOCK_IMPLAUSIBLE in place of a failure that comes of a clock that is, or was, wrong. */
export async function blamingClock<T>(time: TrustedTime, attempt: () => Promise<T>): Promise<T> {
  const whyWrong = time.watch();
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof MooringError) || !dependsOnTime(error)) throw error;
    const why = whyWrong() ?? skewOf(error);
    if (why === undefined) throw error;
    const { hint: _ofTheOther, ...details } = error.details;
    throw new MooringError("ERR_CLOCK_IMPLAUSIBLE", why, { ...details, cause: error });
  }
}

function dependsOnTime(error: MooringError): boolean {
  switch (error.code) {
    case "ERR_CERTIFICATE_EXPIRED":
    case "ERR_CERTIFICATE_NOT_YET_VALID":
    case "ERR_UNAUTHORIZED":
      return true;
    case "ERR_TLS_SERVER":
      return isOutOfDate(error.cause);
    default:
      return false;
  }
}

/** The service's date came with its refusal of a token. */
function skewOf({ details: { clockSkewMs } }: MooringError): string | undefined {
  if (clockSkewMs === undefined) return undefined;
  const seconds = Math.round(Math.abs(clockSkewMs) / 1000);
  return `this machine's clock is ${seconds} s ${clockSkewMs > 0 ? "behind" : "ahead of"} the service's`;
}
