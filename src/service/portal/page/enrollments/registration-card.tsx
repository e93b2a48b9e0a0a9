// What became of the devices of an enrollment.

import type { JSX } from "preact";
import { fetchGroupRegistrations } from "../data/enrollment-calls.ts";
import { useLiveBursts } from "../data/live.ts";
import { useLoad } from "../data/load.ts";
import type { RegistrationRecord } from "../data/records.ts";
import { hrefOf } from "../data/route.ts";
import { useMay } from "../data/session.ts";
import { RegistrationStatus } from "../parts/status.tsx";
import { Ago } from "../parts/time.tsx";
import { RegistrationFacts } from "../registrations/registration-facts.tsx";

export function RegistrationCard({ state }: { readonly state: RegistrationRecord | undefined }): JSX.Element {
  return (
    <section class="card" aria-label="Registration">
      <h2>Registration</h2>
      {state ? (
        <RegistrationFacts registration={state} />
      ) : (
        <p class="hint">The device has not registered yet.</p>
      )}
    </section>
  );
}

const shown = 10;

export function GroupDevices({ groupId }: { readonly groupId: string }): JSX.Element {
  const mayRead = useMay("RegistrationStatusRead");
  return (
    <section class="card" aria-label="Devices">
      <h2>Devices</h2>
      {mayRead ? (
        <DeviceList groupId={groupId} />
      ) : (
        <p class="hint">The policy you signed in with may not read registrations.</p>
      )}
    </section>
  );
}

function DeviceList({ groupId }: { readonly groupId: string }): JSX.Element {
  const { value, failure, reload } = useLoad((signal) => fetchGroupRegistrations(groupId, signal), [groupId]);
  useLiveBursts(["registration"], reload);
  if (failure) return <p class="mistake">{failure.message}</p>;
  if (value === undefined) return <p class="hint">Loading…</p>;
  if (value.length === 0) return <p class="hint">No device has registered through this group yet.</p>;
  return (
    <>
      <ul class="device-list">
        {value.slice(0, shown).map(({ registrationId, status, assignedHub, lastUpdatedDateTimeUtc }) => (
          <li key={registrationId}>
            <a href={hrefOf(["registrations", registrationId])}>{registrationId}</a>
            <RegistrationStatus status={status} />
            <span class="hint">
              {assignedHub ?? "not assigned"}, <Ago at={lastUpdatedDateTimeUtc} />
            </span>
          </li>
        ))}
      </ul>
      {value.length > shown && (
        <p class="hint">and {value.length >= 100 ? "many" : value.length - shown} more</p>
      )}
    </>
  );
}
