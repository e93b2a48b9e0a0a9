// Who registered, when, by what means, and where it was assigned.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { attestationNames } from "../data/kinds.ts";
import { useListing } from "../data/listing.ts";
import type { RegistrationRecord } from "../data/records.ts";
import { hrefOf, type Route } from "../data/route.ts";
import { useMay } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { Pager, SearchBox, Toolbar, Unseen } from "../parts/listing-bar.tsx";
import { Loading } from "../parts/loading.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { RegistrationStatus } from "../parts/status.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Ago } from "../parts/time.tsx";
import { DeleteRegistration } from "./delete-registration.tsx";

const columns: readonly Column<RegistrationRecord>[] = [
  {
    title: "Registration id",
    cell: ({ registrationId }) => (
      <a class="name" href={hrefOf(["registrations", registrationId])}>
        {registrationId}
      </a>
    ),
  },
  { title: "Status", cell: ({ status }) => <RegistrationStatus status={status} /> },
  {
    title: "Assigned to",
    cell: ({ assignedHub, deviceId, errorMessage }) =>
      assignedHub ? (
        <span class="breakable">
          {assignedHub}
          <span class="beside">{deviceId}</span>
        </span>
      ) : (
        <span class="faint">{errorMessage ?? "not assigned"}</span>
      ),
  },
  {
    title: "Attestation",
    kind: "short",
    cell: ({ attestation }) =>
      attestation ? attestationNames[attestation] : <span class="faint">unknown</span>,
  },
  {
    title: "Let in by",
    cell: ({ enrollmentGroupId, registrationId }) =>
      enrollmentGroupId === undefined ? (
        <a href={hrefOf(["enrollments", registrationId])}>individual enrollment</a>
      ) : (
        <span class="breakable">
          group <a href={hrefOf(["groups", enrollmentGroupId])}>{enrollmentGroupId}</a>
        </span>
      ),
  },
  {
    title: "Last updated",
    kind: "short",
    cell: ({ lastUpdatedDateTimeUtc }) => <Ago at={lastUpdatedDateTimeUtc} />,
  },
];

export function RegistrationList({ route }: { readonly route: Route }): JSX.Element {
  const mayDelete = useMay("RegistrationStatusWrite");
  const [deleting, setDeleting] = useState<RegistrationRecord>();
  const listing = useListing<RegistrationRecord>({
    list: "registrations",
    route,
    keyOf: ({ registrationId }) => registrationId,
    stampOf: ({ etag, lastUpdatedDateTimeUtc }) => `${etag} ${lastUpdatedDateTimeUtc}`,
    live: "registration",
  });
  const { rows, failure, fresh, search, status } = listing;
  const actions: Column<RegistrationRecord> = {
    title: "Actions",
    kind: "row-actions",
    cell: (registration) => (
      <Button
        look="quiet"
        label={`Delete the registration of ${registration.registrationId}`}
        onClick={() => setDeleting(registration)}
      >
        Delete
      </Button>
    ),
  };
  return (
    <>
      <PageTitle title="Registrations" />
      <Toolbar>
        <SearchBox
          label="Search by registration id"
          value={search}
          onSearch={(text) => listing.find({ search: text })}
        />
        <select
          aria-label="Status"
          value={status}
          onChange={(event) => listing.find({ status: event.currentTarget.value })}
        >
          <option value="">Any status</option>
          <option value="assigned">Assigned</option>
          <option value="failed">Failed</option>
        </select>
        <Unseen listing={listing} />
      </Toolbar>
      {failure && <FailureNotice failure={failure} title="The registrations could not be loaded" />}
      {!rows && !failure && <Loading />}
      {rows && rows.length > 0 && (
        <Table
          caption="Registrations"
          columns={mayDelete ? [...columns, actions] : columns}
          rows={rows}
          keyOf={({ registrationId }) => registrationId}
          fresh={fresh}
        />
      )}
      {rows?.length === 0 && (
        <Empty title={search || status ? "No registration matches." : "No device has registered yet"}>
          {!search && !status && (
            <p>
              Run <code>mooring provision</code> on a gateway that is enrolled here; it shows up by itself.
            </p>
          )}
        </Empty>
      )}
      <Pager listing={listing as never} />
      {deleting && (
        <DeleteRegistration
          registration={deleting}
          onClose={() => setDeleting(undefined)}
          onDeleted={() => {
            setDeleting(undefined);
            listing.reload();
          }}
        />
      )}
    </>
  );
}
