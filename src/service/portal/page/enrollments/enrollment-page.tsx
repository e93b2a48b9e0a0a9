// One enrollment with everything that belongs to it: its settings, what became of its devices, and its end.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { fetchEnrollment } from "../data/enrollment-calls.ts";
import { type EnrollmentKind, idOf } from "../data/kinds.ts";
import { useLiveBursts } from "../data/live.ts";
import { useLoad } from "../data/load.ts";
import { go, hrefOf } from "../data/route.ts";
import { useMay } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { Fact, FactList } from "../parts/facts.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { Loading } from "../parts/loading.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { Moment } from "../parts/time.tsx";
import { ScenarioCard } from "../scenarios/scenario-card.tsx";
import { DeleteEnrollment } from "./delete-enrollment.tsx";
import { EnrollmentForm } from "./enrollment-form.tsx";
import { GroupDevices, RegistrationCard } from "./registration-card.tsx";

export function NewEnrollment({ kind }: { readonly kind: EnrollmentKind }): JSX.Element {
  return (
    <>
      <PageTitle title={`Add ${kind.one}`} back={{ href: hrefOf([kind.route]), label: kind.title }} />
      <EnrollmentForm key={kind.route} kind={kind} />
    </>
  );
}

export function EnrollmentPage({
  kind,
  id,
}: {
  readonly kind: EnrollmentKind;
  readonly id: string;
}): JSX.Element {
  const mayWrite = useMay("EnrollmentWrite");
  const [deleting, setDeleting] = useState(false);
  const {
    value: record,
    failure,
    reload,
  } = useLoad((signal) => fetchEnrollment(kind, id, signal), [kind.route, id]);
  useLiveBursts([kind.live, "registration"], (ids) => {
    if ([...ids].some((each) => each.toLowerCase() === id.toLowerCase())) reload();
  });

  return (
    <>
      <PageTitle
        title={record ? idOf(kind, record) : id}
        back={{ href: hrefOf([kind.route]), label: kind.title }}
      >
        {record && mayWrite && (
          <Button look="danger" onClick={() => setDeleting(true)}>
            Delete…
          </Button>
        )}
      </PageTitle>
      {failure?.status === 404 && !record && (
        <Empty title={`There is no ${kind.one} “${id}”.`}>
          <a href={hrefOf([kind.route])}>Back to the list</a>
        </Empty>
      )}
      {failure?.status === 404 && record && (
        <FailureNotice failure={failure} title="It was deleted meanwhile" />
      )}
      {failure && failure.status !== 404 && (
        <FailureNotice failure={failure} title={`The ${kind.one} could not be loaded`} />
      )}
      {!record && !failure && <Loading />}
      {record && (
        <div class="columns">
          <EnrollmentForm key={`${kind.route}/${id}`} kind={kind} record={record} onChanged={reload} />
          <aside aria-label="State">
            {kind.route === "enrollments" ? (
              <RegistrationCard state={record.registrationState} />
            ) : (
              <GroupDevices groupId={idOf(kind, record)} />
            )}
            <ScenarioCard scope={{ to: kind.plural, id: idOf(kind, record) }} />
            <section class="card" aria-label="Record">
              <h2>Record</h2>
              <FactList>
                <Fact name="Created">
                  <Moment at={record.createdDateTimeUtc} />
                </Fact>
                <Fact name="Changed">
                  <Moment at={record.lastUpdatedDateTimeUtc} />
                </Fact>
                <Fact name="ETag">
                  <code>{record.etag?.replaceAll('"', "")}</code>
                </Fact>
              </FactList>
            </section>
          </aside>
        </div>
      )}
      {deleting && record && (
        <DeleteEnrollment
          kind={kind}
          record={record}
          onClose={() => setDeleting(false)}
          onDeleted={() => go(hrefOf([kind.route]), { replace: true })}
        />
      )}
    </>
  );
}
