// All enrollments as a file that `import` takes: what the service adds by itself is left out, and what it does not show
// by itself is asked for.

import { stringify } from "csv-stringify/sync";
import type { Enrollments } from "./client.ts";
import { cellsOf, columnsOf } from "./columns.ts";
import { ifThere } from "./if-there.ts";
import type { Kind } from "./kind.ts";
import type { AnyEnrollment, AttestationMechanism, CertificatePair } from "./record.ts";
import type { Format } from "./rows-file.ts";

export interface ExportOptions {
  readonly enrollments: Enrollments<AnyEnrollment>;
  readonly kind: Kind;
  readonly format: Format;
  /** Whether symmetric keys are written. */
  readonly keys: boolean;
  readonly onRow: (row: AnyEnrollment) => void;
  readonly signal: AbortSignal;
}

/** As many rows are completed at a time. */
const atOnce = 8;

/** The text of the file, in pieces. */
export async function* exportRows(options: ExportOptions): AsyncGenerator<string> {
  const { kind, format, onRow } = options;
  const columns = columnsOf(kind);
  if (format === "csv") yield stringify([columns.map(({ name }) => name)]);
  let first = true;
  for await (const row of completed(options)) {
    if (format === "csv") yield stringify([cellsOf(row, columns)]);
    else yield `${first ? "[" : ","}\n${JSON.stringify(row)}`;
    first = false;
    onRow(row);
  }
  if (format === "json") yield first ? "[]\n" : "\n]\n";
}

async function* completed(options: ExportOptions): AsyncGenerator<AnyEnrollment> {
  let some: AnyEnrollment[] = [];
  const complete = async (): Promise<AnyEnrollment[]> => {
    const rows = await Promise.all(some.map((row) => ifThere(completeRow(row, options))));
    return rows.filter((row) => row !== undefined);
  };
  for await (const row of options.enrollments.list(options)) {
    some.push(row);
    if (some.length < atOnce) continue;
    yield* await complete();
    some = [];
  }
  yield* await complete();
}

const writtenByService = ["etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState"];

async function completeRow(
  row: AnyEnrollment,
  { enrollments, kind, keys, signal }: ExportOptions,
): Promise<AnyEnrollment> {
  const { type } = row.attestation;
  const hidden = type === "x509" || (type === "symmetricKey" && keys);
  const attestation = hidden ? await enrollments.attestation(kind.idOf(row), { signal }) : row.attestation;
  const own = Object.entries(row).filter(([name]) => !writtenByService.includes(name));
  return { ...(Object.fromEntries(own) as unknown as AnyEnrollment), attestation: bare(attestation, keys) };
}

/** Certificates without their descriptions; keys only when they are wanted. */
function bare({ type, tpm, x509, symmetricKey }: AttestationMechanism, keys: boolean): AttestationMechanism {
  if (type === "symmetricKey") return { type, ...(keys && symmetricKey && { symmetricKey }) };
  if (type === "tpm") return { type, ...(tpm && { tpm }) };
  const { clientCertificates, signingCertificates, caReferences } = x509 ?? {};
  return {
    type,
    x509: {
      ...(clientCertificates && { clientCertificates: bareCertificates(clientCertificates) }),
      ...(signingCertificates && { signingCertificates: bareCertificates(signingCertificates) }),
      ...(caReferences && { caReferences }),
    },
  };
}

const bareCertificates = ({ primary, secondary }: CertificatePair): CertificatePair => ({
  primary: { ...(primary.certificate && { certificate: primary.certificate }) },
  ...(secondary && { secondary: { ...(secondary.certificate && { certificate: secondary.certificate }) } }),
});

/** Whether a row can be imported again: not every service gives back the certificates that it was given. */
export function isComplete({ attestation: { type, x509 } }: AnyEnrollment): boolean {
  if (type !== "x509") return true;
  const pair = x509?.clientCertificates ?? x509?.signingCertificates;
  return x509?.caReferences !== undefined || pair?.primary.certificate !== undefined;
}
