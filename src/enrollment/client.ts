// The service API from the operator's side, local service or Azure alike: who may register, and who did.

import { Agent } from "node:https";
import type { Clock } from "../system/clock.ts";
import type { ServiceConnection } from "./connection-string.ts";
import { exchange, itemRefusal, type Line, type ServiceAnswer, type ServiceRequest } from "./exchange.ts";
import { group, individual, type Kind } from "./kind.ts";
import { type Management, management } from "./management.ts";
import { type Patience, patient } from "./patience.ts";
import { ProxiedAgent } from "./proxied-agent.ts";
import type {
  AnyEnrollment,
  AttestationMechanism,
  BulkResult,
  EnrollmentGroup,
  IndividualEnrollment,
  RegistrationRecord,
} from "./record.ts";

export interface Waiting {
  readonly signal: AbortSignal;
}

type Guarded = Waiting & { readonly ifMatch?: string | undefined };

/** One kind of enrollment. Every call throws what `exchange` throws. */
export interface Enrollments<Row extends AnyEnrollment> {
  /** Creates or replaces; with `ifMatch`, replaces only that version. */
  put(id: string, row: Row, options: Guarded): Promise<Row>;
  /** Throws ERR_ENROLLMENT_CONFLICT when there is one of that name, which `put` would replace. */
  create(row: Row, options: Waiting): Promise<void>;
  get(id: string, options: Waiting): Promise<Row>;
  /** As `get`, with its symmetric keys: an enrollment put back without them may be given new ones. */
  getWithKeys(id: string, options: Waiting): Promise<Row>;
  /** With its keys and certificates, which `get` leaves out. */
  attestation(id: string, options: Waiting): Promise<AttestationMechanism>;
  delete(id: string, options: Guarded): Promise<void>;
  /** All of them, page by page. */
  list(options: Waiting): AsyncGenerator<Row>;
  /** Up to ten rows, each of which succeeds or fails by itself. */
  bulk(mode: "create" | "updateIfMatchETag", rows: readonly Row[], options: Waiting): Promise<BulkResult>;
}

interface Registrations {
  get(id: string, options: Waiting): Promise<RegistrationRecord>;
  delete(id: string, options: Guarded): Promise<void>;
  /** Those that came through one group, page by page. */
  ofGroup(groupId: string, options: Waiting): AsyncGenerator<RegistrationRecord>;
}

export interface ServiceClient {
  readonly host: string;
  readonly keyName: string;
  readonly enrollments: Enrollments<IndividualEnrollment>;
  readonly enrollmentGroups: Enrollments<EnrollmentGroup>;
  readonly registrations: Registrations;
  /** What only the local service has. */
  readonly management: Management;
  close(): void;
}

export interface ServiceClientOptions {
  readonly connection: ServiceConnection;
  /** PEM of the CA to trust in place of the system's, as for the local service. */
  readonly ca?: string | undefined;
  /** Address of an HTTP proxy, as connectThroughProxy() takes it. */
  readonly proxy?: string | undefined;
  readonly clock: Clock;
  /** For long work: repeats what a busy service refuses. Without it, every call is made once. */
  readonly patience?: Patience | undefined;
}

export type Ask = (question: ServiceRequest) => Promise<ServiceAnswer>;

/** As many requests at a time. */
const mostSockets = 4;
/** The most that a page may have. */
const pageItems = "1000";

export function openServiceClient(options: ServiceClientOptions): ServiceClient {
  const { connection, ca, proxy, clock, patience } = options;
  const lines = {
    keepAlive: true,
    maxSockets: mostSockets,
    rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    ...(ca !== undefined && { ca }),
  };
  const agent = proxy === undefined ? new Agent(lines) : new ProxiedAgent(proxy, lines);
  const line: Line = { connection, agent, clock };
  const askOnce: Ask = (question) => exchange(line, question);
  const ask = patience ? patient(askOnce, patience) : askOnce;
  return {
    host: `${connection.host}:${connection.port}`,
    keyName: connection.keyName,
    enrollments: enrollments(ask, individual),
    enrollmentGroups: enrollments(ask, group),
    registrations: registrations(ask),
    management: management(ask, connection),
    close: () => agent.destroy(),
  };
}

function enrollments<Row extends AnyEnrollment>(ask: Ask, { plural }: Kind<Row>): Enrollments<Row> {
  const pathOf = (id: string): string => `/${plural}/${encodeURIComponent(id)}`;
  const body = async <Answer>(question: ServiceRequest): Promise<Answer> =>
    (await ask(question)).body as Answer;

  const get = (id: string, { signal }: Waiting): Promise<Row> =>
    body({ method: "GET", path: pathOf(id), signal });
  const attestation = (id: string, { signal }: Waiting): Promise<AttestationMechanism> =>
    body({ method: "POST", path: `${pathOf(id)}/attestationmechanism`, signal });

  return {
    get,
    attestation,
    getWithKeys: async (id, waiting) => {
      const row = await get(id, waiting);
      if (row.attestation.type !== "symmetricKey") return row;
      return { ...row, attestation: await attestation(id, waiting) };
    },
    // No header makes a PUT refuse to replace; a bulk request of one knows the difference.
    create: async (row, { signal }) => {
      const answer = await ask({
        method: "POST",
        path: `/${plural}`,
        body: { mode: "create", [plural]: [row] },
        signal,
      });
      const [error] = (answer.body as BulkResult).errors ?? [];
      if (error) throw itemRefusal(error, answer);
    },
    put: (id, row, { signal, ifMatch }) =>
      body({ method: "PUT", path: pathOf(id), body: row, ...ifMatchHeader(ifMatch), signal }),
    delete: (id, { signal, ifMatch }) =>
      body({ method: "DELETE", path: pathOf(id), ...ifMatchHeader(ifMatch), signal }),
    list: ({ signal }) => pages<Row>(ask, `/${plural}/query`, plural, signal),
    bulk: (mode, rows, { signal }) =>
      body({ method: "POST", path: `/${plural}`, body: { mode, [plural]: rows }, signal }),
  };
}

function registrations(ask: Ask): Registrations {
  const pathOf = (id: string): string => `/registrations/${encodeURIComponent(id)}`;
  return {
    get: async (id, { signal }) =>
      (await ask({ method: "GET", path: pathOf(id), signal })).body as RegistrationRecord,
    delete: async (id, { signal, ifMatch }) => {
      await ask({ method: "DELETE", path: pathOf(id), ...ifMatchHeader(ifMatch), signal });
    },
    ofGroup: (groupId, { signal }) =>
      pages<RegistrationRecord>(ask, `${pathOf(groupId)}/query`, "registrations", signal),
  };
}

const ifMatchHeader = (etag: string | undefined): { headers?: Record<string, string> } =>
  etag === undefined ? {} : { headers: { "if-match": etag } };

async function* pages<Row>(ask: Ask, path: string, from: string, signal: AbortSignal): AsyncGenerator<Row> {
  let continuation: string | undefined;
  do {
    const { headers, body } = await ask({
      method: "POST",
      path,
      headers: {
        "x-ms-max-item-count": pageItems,
        ...(continuation !== undefined && { "x-ms-continuation": continuation }),
      },
      body: { query: `SELECT * FROM ${from}` },
      signal,
    });
    yield* body as Row[];
    const next = headers["x-ms-continuation"];
    continuation = typeof next === "string" ? next : undefined;
  } while (continuation !== undefined);
}
