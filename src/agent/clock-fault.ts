// Whose fault a failed attempt is. Certificates and tokens carry times, so a wrong clock makes every side refuse every
// other: that is said of the clock, and never taken for a refusal of this device.

import { type ErrorCode, MooringError, systemCode } from "../errors.ts";
import { isOutOfDate } from "../system/network-error.ts";
import type { TrustedTime } from "../system/trusted-time.ts";

/** Runs an attempt; throws ERR_CLOCK_IMPLAUSIBLE in place of a failure that comes of a clock that is, or was, wrong. */
export async function blamingClock<T>(time: TrustedTime, attempt: () => Promise<T>): Promise<T> {
  const whyWrong = time.watch();
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof MooringError) || !dependsOnTime(error)) throw error;
    const why = whyWrong() ?? skewOf(error) ?? earlinessOf(error, time);
    if (why === undefined) throw error;
    const { hint: _ofTheOther, ...details } = error.details;
    throw new MooringError("ERR_CLOCK_IMPLAUSIBLE", why, { ...details, cause: error });
  }
}

const ofTime: ReadonlySet<ErrorCode> = new Set([
  "ERR_CLOCK_IMPLAUSIBLE",
  "ERR_CERTIFICATE_EXPIRED",
  "ERR_CERTIFICATE_NOT_YET_VALID",
  "ERR_UNAUTHORIZED",
  "ERR_TLS_SERVER",
]);

/** What failed so at one time may work at another: when the clock is set, it is worth trying at once. */
export const mayBeOfTime = (code: ErrorCode): boolean => ofTime.has(code);

const dependsOnTime = ({ code, cause }: MooringError): boolean =>
  mayBeOfTime(code) && (code !== "ERR_TLS_SERVER" || isOutOfDate(cause));

/** The service's date came with its refusal of a token. */
function skewOf({ details: { clockSkewMs } }: MooringError): string | undefined {
  if (clockSkewMs === undefined) return undefined;
  const seconds = Math.round(Math.abs(clockSkewMs) / 1000);
  return `this machine's clock is ${seconds} s ${clockSkewMs > 0 ? "behind" : "ahead of"} the service's`;
}

/** A service uses its certificate from the day that it begins: whoever finds it too early has a clock that is slow. */
function earlinessOf(error: MooringError, time: TrustedTime): string | undefined {
  if (systemCode(error.cause) !== "CERT_NOT_YET_VALID" || time.isSynchronised()) return undefined;
  return `this machine's clock says ${new Date(time.now()).toISOString()}, when the server's certificate had not begun`;
}
