// One registration record, with the way to the enrollment that let it in.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLiveBursts } from "../data/live.ts";
import { useLoad } from "../data/load.ts";
import { fetchRegistration } from "../data/management-calls.ts";
import { groupOf } from "../data/registration-view.ts";
import { go, hrefOf } from "../data/route.ts";
import { useMay } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { DeleteRegistration } from "./delete-registration.tsx";
import { RegistrationFacts } from "./registration-facts.tsx";

export function RegistrationPage({ id }: { readonly id: string }): JSX.Element {
  const mayDelete = useMay("RegistrationStatusWrite");
  const [deleting, setDeleting] = useState(false);
  const { value: registration, failure, reload } = useLoad((signal) => fetchRegistration(id, signal), [id]);
  useLiveBursts(["registration"], (ids) => {
    if ([...ids].some((each) => each.toLowerCase() === id.toLowerCase())) reload();
  });
  const list = hrefOf(["registrations"]);
  const group = registration && groupOf(registration);
  return (
    <>
      <PageTitle title={registration?.registrationId ?? id} back={{ href: list, label: "Registrations" }}>
        {registration && mayDelete && (
          <Button look="danger" onClick={() => setDeleting(true)}>
            Delete…
          </Button>
        )}
      </PageTitle>
      {failure?.status === 404 && (
        <Empty title={`There is no registration of “${id}”.`}>
          <a href={list}>Back to the list</a>
        </Empty>
      )}
      {failure && failure.status !== 404 && (
        <FailureNotice failure={failure} title="The registration could not be loaded" />
      )}
      {registration && failure?.status !== 404 && (
        <section class="card" aria-label="Registration record">
          <RegistrationFacts registration={registration} />
          <p>
            Let in by{" "}
            {group === undefined ? (
              <a href={hrefOf(["enrollments", registration.registrationId])}>its individual enrollment</a>
            ) : (
              <>
                the group <a href={hrefOf(["groups", group])}>{group}</a>
              </>
            )}
            .
          </p>
        </section>
      )}
      {deleting && registration && (
        <DeleteRegistration
          registration={registration}
          onClose={() => setDeleting(false)}
          onDeleted={() => go(list, { replace: true })}
        />
      )}
    </>
  );
}
