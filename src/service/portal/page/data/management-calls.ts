// The management API: what the local service offers beside Azure's service API.

import { call } from "./call.ts";
import type {
  CertificateReport,
  Hub,
  Overview,
  Page,
  Quotas,
  RegistrationRecord,
  Statistics,
} from "./records.ts";

export const fetchOverview = (signal: AbortSignal): Promise<Overview> =>
  call("GET", "/mooring/overview", { signal });

export const fetchStatistics = (minutes: number, signal: AbortSignal): Promise<Statistics> =>
  call("GET", `/mooring/statistics?minutes=${minutes}`, { signal });

/** With what the device sent along. */
export const fetchRegistration = (id: string, signal: AbortSignal): Promise<RegistrationRecord> =>
  call("GET", `/mooring/registrations/${encodeURIComponent(id)}`, { signal });

export const fetchHubs = (signal: AbortSignal): Promise<readonly Hub[]> =>
  call("GET", "/mooring/hubs", { signal });

export const saveHub = (
  hostName: string,
  settings: { readonly allocationWeight: number; readonly latencyMs: number | null },
): Promise<void> => call("PUT", `/mooring/hubs/${encodeURIComponent(hostName)}`, { body: settings });

export const unlinkHub = (hostName: string, { force }: { readonly force: boolean }): Promise<void> =>
  call("DELETE", `/mooring/hubs/${encodeURIComponent(hostName)}${force ? "?force=true" : ""}`);

export const fetchQuotas = (signal: AbortSignal): Promise<Quotas> =>
  call("GET", "/mooring/quotas", { signal });

export const saveQuotas = (quotas: Quotas): Promise<Quotas> =>
  call("PUT", "/mooring/quotas", { body: quotas });

/** `text` is PEM or base64 DER. */
export const describeCertificate = (
  text: string,
  use: "device" | "ca",
  signal: AbortSignal,
): Promise<CertificateReport> => call("POST", `/mooring/certificate?use=${use}`, { body: text, signal });

export interface ListingQuery {
  readonly search?: string | undefined;
  readonly status?: string | undefined;
  /** `next` of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export function fetchPage<Item>(
  list: "enrollments" | "enrollmentGroups" | "registrations",
  query: ListingQuery,
  signal: AbortSignal,
): Promise<Page<Item>> {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) parameters.set(name, String(value));
  return call("GET", `/mooring/${list}?${parameters}`, { signal });
}
