// What the service API bears, and what becomes of it when a hundred thousand enrollments are there: how fast they are
// written and read, how long a page of a list takes, how much memory the service holds.

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { text } from "node:stream/consumers";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import type { Verdict } from "./aims.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

export interface Rate {
  readonly what: string;
  readonly perSecond: number;
}

/** At one number of enrollments. */
export interface Size {
  readonly enrollments: number;
  /** Medians, of pages of a hundred: the first, one in the middle, one of a search in the whole list. */
  readonly firstPageMs: number;
  readonly middlePageMs: number;
  readonly searchMs: number;
  /** Resident memory of the service's process. */
  readonly memoryMiB: number;
}

const sizes = [1_000, 10_000, 100_000];
const inFlight = 16;
const bulkSize = 10;

export async function measureRates({ service }: Stage, seconds: number): Promise<Rate[]> {
  using operator = openOperator(service);
  const { call } = operator;
  const attestation = { type: "symmetricKey" };
  let made = 0;
  const rate = async (what: string, each: number, act: () => Promise<unknown>): Promise<Rate> => {
    const startedAt = performance.now();
    const until = startedAt + seconds * 1000;
    let count = 0;
    await inParallel(async () => {
      while (performance.now() < until) {
        await act();
        count += each;
      }
    });
    return { what, perSecond: (1000 * count) / (performance.now() - startedAt) };
  };
  return [
    await rate("enrollments written, one a request", 1, () =>
      call("PUT", `/enrollments/rate-${made++}`, { attestation }),
    ),
    await rate("enrollments written, ten a request", bulkSize, () =>
      call("POST", "/enrollments", {
        mode: "create",
        enrollments: Array.from({ length: bulkSize }, () => ({
          registrationId: `rate-${made++}`,
          attestation,
        })),
      }),
    ),
    await rate("enrollments read", 1, () =>
      call("GET", `/enrollments/rate-${Math.floor(Math.random() * made)}`),
    ),
  ];
}

/** Fills the service up, and measures on the way. */
export async function measureSizes({ service }: Stage, say: (text: string) => void): Promise<Size[]> {
  using operator = openOperator(service);
  const results: Size[] = [];
  let filled = 0;
  for (const enrollments of sizes) {
    say(`filling up to ${enrollments} enrollments`);
    await inParallel(async () => {
      while (filled < enrollments) {
        const rows = Array.from({ length: bulkSize }, () => ({
          registrationId: `size-${String(filled++).padStart(6, "0")}`,
          attestation: { type: "symmetricKey" },
        }));
        await operator.call("POST", "/enrollments", { mode: "create", enrollments: rows });
      }
    });
    const time = async (act: () => Promise<unknown>): Promise<number> => {
      const times: number[] = [];
      for (let n = 0; n < 21; n++) {
        const since = performance.now();
        await act();
        times.push(performance.now() - since);
      }
      return median(times);
    };
    const middle = Buffer.from(`enrollments size-${String(enrollments / 2).padStart(6, "0")}`).toString(
      "base64url",
    );
    const page = (headers: Record<string, string>) => () =>
      operator.call(
        "POST",
        "/enrollments/query",
        { query: "*" },
        { "x-ms-max-item-count": "100", ...headers },
      );
    results.push({
      enrollments,
      firstPageMs: await time(page({})),
      middlePageMs: await time(page({ "x-ms-continuation": middle })),
      searchMs: await time(() => operator.call("GET", "/mooring/enrollments?search=9999&limit=100")),
      memoryMiB: residentMiB(service.pid),
    });
  }
  return results;
}

/** A page takes as long among a hundred thousand as among a thousand, but for noise. */
export function flatVerdict(sizes: readonly Size[]): Verdict {
  const [least, most] = [sizes[0]?.middlePageMs ?? Number.NaN, sizes.at(-1)?.middlePageMs ?? Number.NaN];
  return {
    what: "service: a page among 100,000 enrollments",
    aim: "≤ 1.5 × among 1,000",
    got: `${(most / least).toFixed(2)} ×`,
    met: most <= 1.5 * least,
  };
}

async function inParallel(act: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: inFlight }, act));
}

interface Operator extends Disposable {
  /** Throws unless it is answered with 200. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<unknown>;
}

function openOperator({ connectionString, caFile }: Stage["service"]): Operator {
  const { keyName, key, ...connection } = parseConnectionString(connectionString);
  const host = `${connection.host}:${connection.port}`;
  const agent = new Agent({ ca: readFileSync(caFile), keepAlive: true, maxSockets: inFlight });
  const signed = `${encodeURIComponent(host)}\n${Math.floor(Date.now() / 1000) + 3600}`;
  const sig = createHmac("sha256", key.reveal()).update(signed).digest("base64");
  const [sr, se] = signed.split("\n");
  const authorization = `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=${keyName}`;
  return {
    async call(method, path, body, headers = {}) {
      const url = `https://${host}${path}${path.includes("?") ? "&" : "?"}api-version=2021-10-01`;
      const asked = request(url, { agent, method, headers: { authorization, ...headers } });
      asked.end(body === undefined ? undefined : JSON.stringify(body));
      const [answer] = await once(asked, "response");
      const said = await text(answer);
      if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${answer.statusCode} ${said}`);
      return JSON.parse(said);
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}
