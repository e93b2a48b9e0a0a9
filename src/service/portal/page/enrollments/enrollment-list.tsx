// The groups, or the individual enrollments: found, paged, alive.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type EnrollmentKind, idOf } from "../data/kinds.ts";
import { useListing } from "../data/listing.ts";
import type { EnrollmentRecord } from "../data/records.ts";
import { hrefOf, type Route } from "../data/route.ts";
import { scenarios } from "../data/scenarios.ts";
import { useMay } from "../data/session.ts";
import { useStore } from "../data/store.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { Icon } from "../parts/icon.tsx";
import { Pager, SearchBox, Toolbar, Unseen } from "../parts/listing-bar.tsx";
import { Loading } from "../parts/loading.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { Table } from "../parts/table.tsx";
import { DeleteEnrollment } from "./delete-enrollment.tsx";
import { enrollmentColumns } from "./enrollment-columns.tsx";

export function EnrollmentList({
  kind,
  route,
}: {
  readonly kind: EnrollmentKind;
  readonly route: Route;
}): JSX.Element {
  const mayWrite = useMay("EnrollmentWrite");
  const marked = useStore(scenarios)?.[kind.plural] ?? {};
  const [deleting, setDeleting] = useState<EnrollmentRecord>();
  const listing = useListing<EnrollmentRecord>({
    list: kind.plural,
    route,
    keyOf: (record) => idOf(kind, record),
    stampOf: (record) => `${record.etag} ${record.registrationState?.etag}`,
    live: kind.live,
    related: "registration",
  });
  const { rows, failure, fresh, search, status } = listing;

  const columns = [
    ...enrollmentColumns(kind, marked),
    ...(mayWrite
      ? [
          {
            title: "Actions",
            kind: "row-actions" as const,
            cell: (record: EnrollmentRecord) => (
              <Button look="quiet" label={`Delete ${idOf(kind, record)}`} onClick={() => setDeleting(record)}>
                Delete
              </Button>
            ),
          },
        ]
      : []),
  ];

  return (
    <>
      <PageTitle title={kind.title}>
        {mayWrite && (
          <a class="button primary" href={hrefOf([kind.addRoute])}>
            <Icon name="plus" /> Add {kind.one}
          </a>
        )}
      </PageTitle>
      <Toolbar>
        <SearchBox
          label={`Search by ${kind.idLabel.toLowerCase()}`}
          value={search}
          onSearch={(text) => listing.find({ search: text })}
        />
        <select
          aria-label="Status"
          value={status}
          onChange={(event) => listing.find({ status: event.currentTarget.value })}
        >
          <option value="">Any status</option>
          <option value="enabled">Enabled</option>
          <option value="disabled">Disabled</option>
        </select>
        <Unseen listing={listing} />
      </Toolbar>
      {failure && <FailureNotice failure={failure} title={`The ${kind.one}s could not be loaded`} />}
      {!rows && !failure && <Loading />}
      {rows && rows.length > 0 && (
        <Table
          caption={kind.title}
          columns={columns}
          rows={rows}
          keyOf={(record) => idOf(kind, record)}
          fresh={fresh}
        />
      )}
      {rows?.length === 0 && <Nothing kind={kind} isSearched={search !== "" || status !== ""} />}
      <Pager listing={listing as never} />
      {deleting && (
        <DeleteEnrollment
          kind={kind}
          record={deleting}
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

function Nothing({
  kind,
  isSearched,
}: {
  readonly kind: EnrollmentKind;
  readonly isSearched: boolean;
}): JSX.Element {
  if (isSearched) return <Empty title={`No ${kind.one} matches.`} />;
  return kind.route === "groups" ? (
    <Empty title="No enrollment groups yet">
      <p>
        A group lets in every device whose certificate a common CA has signed, or whose key is derived from
        the key of the group.
      </p>
    </Empty>
  ) : (
    <Empty title="No individual enrollments yet">
      <p>
        An individual enrollment lets in one device: by its certificate, by the endorsement key of its TPM, or
        by a symmetric key.
      </p>
    </Empty>
  );
}
