// What only the local service lets its operator do, beside Azure's service API: hubs, policies, quotas, and a list of
// all registrations.

import { MooringError } from "../errors.ts";
import type { Ask, Waiting } from "./client.ts";
import type { ServiceConnection } from "./connection-string.ts";
import type { ServiceRequest } from "./exchange.ts";
import type { RegistrationRecord } from "./record.ts";
import { type Scenarios, scenarios } from "./scenarios.ts";

export interface Hub {
  readonly hostName: string;
  /** 1 to 1000: its share of the devices under the hashed policy. */
  readonly allocationWeight: number;
  /** Declared, for the geoLatency policy. */
  readonly latencyMs?: number;
  readonly devices: number;
}

export interface Policy {
  readonly name: string;
  readonly permissions: readonly string[];
  /** Base64. */
  readonly primaryKey: string;
  readonly secondaryKey: string;
}

/** Null means none. */
export interface Quotas {
  readonly registrationsPerMinute: number | null;
  readonly serviceCallsPerMinute: number | null;
}

/** Signs a browser in, once; a secret. */
interface PortalLink {
  readonly url: string;
  readonly expiresAtUtc: string;
}

/** Each call throws ERR_LOCAL_ONLY where the service is not a local one, and what `exchange` throws. */
export interface Management {
  hubs(options: Waiting): Promise<readonly Hub[]>;
  putHub(hostName: string, hub: Partial<Hub>, options: Waiting): Promise<void>;
  /** `force` unlinks a hub that enrollments name, and the last one. */
  deleteHub(hostName: string, options: Waiting & { force: boolean }): Promise<void>;
  policies(options: Waiting): Promise<readonly Policy[]>;
  rotateKey(policy: string, key: "primary" | "secondary", options: Waiting): Promise<Policy>;
  quotas(options: Waiting): Promise<Quotas>;
  setQuotas(quotas: Quotas, options: Waiting): Promise<Quotas>;
  /** All of them, those whose enrollment is gone included. */
  registrations(options: Waiting): AsyncGenerator<RegistrationRecord>;
  /** One of them, with what the service API leaves out. */
  registration(id: string, options: Waiting): Promise<RegistrationRecord>;
  portalLink(options: Waiting): Promise<PortalLink>;
  readonly scenarios: Scenarios;
}

export function management(ask: Ask, connection: ServiceConnection): Management {
  const call = async <Answer>(question: ServiceRequest): Promise<Answer> => {
    if (isAzure(connection)) throw localOnly(connection);
    try {
      return (await ask(question)).body as Answer;
    } catch (error) {
      if (isNotFound(error) && !(await isLocal(ask, question.signal))) throw localOnly(connection, error);
      throw error;
    }
  };
  const hubPath = (hostName: string): string => `/mooring/hubs/${encodeURIComponent(hostName)}`;

  return {
    hubs: ({ signal }) => call({ method: "GET", path: "/mooring/hubs", signal }),
    putHub: (hostName, hub, { signal }) =>
      call({ method: "PUT", path: hubPath(hostName), body: hub, signal }),
    deleteHub: (hostName, { force, signal }) =>
      call({ method: "DELETE", path: hubPath(hostName), ...(force && { query: { force: "true" } }), signal }),
    policies: ({ signal }) => call({ method: "GET", path: "/mooring/policies", signal }),
    rotateKey: (policy, key, { signal }) =>
      call({
        method: "POST",
        path: `/mooring/policies/${encodeURIComponent(policy)}/rotate`,
        body: { key },
        signal,
      }),
    quotas: ({ signal }) => call({ method: "GET", path: "/mooring/quotas", signal }),
    setQuotas: (quotas, { signal }) => call({ method: "PUT", path: "/mooring/quotas", body: quotas, signal }),
    async *registrations({ signal }) {
      let after: string | undefined;
      do {
        const page: { items: RegistrationRecord[]; next?: string } = await call({
          method: "GET",
          path: "/mooring/registrations",
          query: { limit: "1000", ...(after !== undefined && { after }) },
          signal,
        });
        yield* page.items;
        after = page.next;
      } while (after !== undefined);
    },
    registration: (id, { signal }) =>
      call({ method: "GET", path: `/mooring/registrations/${encodeURIComponent(id)}`, signal }),
    portalLink: ({ signal }) => call({ method: "POST", path: "/mooring/portal-links", signal }),
    scenarios: scenarios(call),
  };
}

/** There is no need to ask a cloud. */
const isAzure = ({ host }: ServiceConnection): boolean =>
  /\.azure-devices-provisioning\.(net|cn|us)$/i.test(host);

/** 404 as DPS words it, or as any web server does. */
const isNotFound = (error: unknown): boolean => error instanceof MooringError && error.details.status === 404;

/** A local service knows this address, whatever it says to it. */
async function isLocal(ask: Ask, signal: AbortSignal): Promise<boolean> {
  try {
    await ask({ method: "GET", path: "/mooring/hubs", signal });
    return true;
  } catch (error) {
    return !isNotFound(error);
  }
}

const localOnly = ({ host }: ServiceConnection, cause?: unknown): MooringError =>
  new MooringError("ERR_LOCAL_ONLY", `${host} is no local provisioning service`, { cause });
