// The service API from the operator's side, local service or Azure alike: who may register.

import { Agent } from "node:https";
import type { Clock } from "../system/clock.ts";
import type { ServiceConnection } from "./connection-string.ts";
import { exchange, type Line, type ServiceRequest } from "./exchange.ts";
import type { AttestationMechanism, EnrollmentGroup, IndividualEnrollment } from "./record.ts";

interface Waiting {
  readonly signal: AbortSignal;
}

/** One kind of enrollment. Every call throws what `exchange` throws. */
export interface Enrollments<Row> {
  /** Creates or replaces; with `ifMatch`, replaces only that version. */
  put(id: string, row: Row, options: Waiting & { ifMatch?: string | undefined }): Promise<Row>;
  get(id: string, options: Waiting): Promise<Row>;
  /** With its keys, which `get` leaves out. */
  attestation(id: string, options: Waiting): Promise<AttestationMechanism>;
  delete(id: string, options: Waiting & { ifMatch?: string | undefined }): Promise<void>;
  /** All of them, page by page. */
  list(options: Waiting): AsyncGenerator<Row>;
}

export interface ServiceClient {
  readonly enrollments: Enrollments<IndividualEnrollment>;
  readonly enrollmentGroups: Enrollments<EnrollmentGroup>;
  close(): void;
}

export interface ServiceClientOptions {
  readonly connection: ServiceConnection;
  /** PEM of the CA to trust in place of the system's, as for the local service. */
  readonly ca?: string | undefined;
  readonly clock: Clock;
}

export function openServiceClient({ connection, ca, clock }: ServiceClientOptions): ServiceClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ...(ca !== undefined && { ca }) });
  const line: Line = { connection, agent, clock };
  return {
    enrollments: enrollments<IndividualEnrollment>(line, "enrollments"),
    enrollmentGroups: enrollments<EnrollmentGroup>(line, "enrollmentGroups"),
    close: () => agent.destroy(),
  };
}

function enrollments<Row>(line: Line, plural: "enrollments" | "enrollmentGroups"): Enrollments<Row> {
  const pathOf = (id: string): string => `/${plural}/${encodeURIComponent(id)}`;
  const ask = async <Answer>(question: ServiceRequest): Promise<Answer> =>
    (await exchange(line, question)).body as Answer;
  const ifMatchHeader = (etag: string | undefined): { headers?: Record<string, string> } =>
    etag === undefined ? {} : { headers: { "if-match": etag } };

  return {
    put: (id, row, { signal, ifMatch }) =>
      ask({ method: "PUT", path: pathOf(id), body: row, ...ifMatchHeader(ifMatch), signal }),
    get: (id, { signal }) => ask({ method: "GET", path: pathOf(id), signal }),
    attestation: (id, { signal }) =>
      ask({ method: "POST", path: `${pathOf(id)}/attestationmechanism`, signal }),
    delete: (id, { signal, ifMatch }) =>
      ask({ method: "DELETE", path: pathOf(id), ...ifMatchHeader(ifMatch), signal }),
    async *list({ signal }) {
      let continuation: string | undefined;
      do {
        const { headers, body } = await exchange(line, {
          method: "POST",
          path: `/${plural}/query`,
          headers: continuation === undefined ? {} : { "x-ms-continuation": continuation },
          body: { query: `SELECT * FROM ${plural}` },
          signal,
        });
        yield* body as Row[];
        const next = headers["x-ms-continuation"];
        continuation = typeof next === "string" ? next : undefined;
      } while (continuation !== undefined);
    },
  };
}
