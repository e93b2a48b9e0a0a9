// What the list of enrollments says of each.

import type { JSX } from "preact";
import { attestationNames, type EnrollmentKind, idOf } from "../data/kinds.ts";
import type { EnrollmentRecord } from "../data/records.ts";
import { hrefOf } from "../data/route.ts";
import { Badge, EnrollmentStatus, RegistrationStatus } from "../parts/status.tsx";
import type { Column } from "../parts/table.tsx";
import { Ago } from "../parts/time.tsx";

/** `marked` has the names of those for which a scenario is active. */
export const enrollmentColumns = (
  kind: EnrollmentKind,
  marked: Readonly<Record<string, unknown>>,
): readonly Column<EnrollmentRecord>[] => [
  {
    title: kind.idLabel,
    cell: (record) => (
      <>
        <a class="name" href={hrefOf([kind.route, idOf(kind, record)])}>
          {idOf(kind, record)}
        </a>
        {isMarked(marked, idOf(kind, record)) && <Badge tone="alarm">scenario</Badge>}
      </>
    ),
  },
  { title: "Attestation", kind: "short", cell: ({ attestation }) => attestationNames[attestation.type] },
  ...(kind.route === "enrollments" ? deviceColumns : []),
  { title: "Allocation", cell: allocationWords },
  {
    title: "Status",
    cell: ({ provisioningStatus }) => <EnrollmentStatus enabled={provisioningStatus !== "disabled"} />,
  },
  {
    title: "Changed",
    kind: "short",
    cell: ({ lastUpdatedDateTimeUtc }) => <Ago at={lastUpdatedDateTimeUtc} />,
  },
];

const deviceColumns: Column<EnrollmentRecord>[] = [
  {
    title: "Device id",
    cell: ({ deviceId, registrationState }) => (
      <span class="breakable">
        {registrationState?.deviceId ?? deviceId ?? <span class="faint">as registration id</span>}
      </span>
    ),
  },
  {
    title: "Registration",
    cell: ({ registrationState: state }) =>
      state ? (
        <>
          <RegistrationStatus status={state.status} />
          {state.assignedHub && <span class="beside breakable">{state.assignedHub}</span>}
        </>
      ) : (
        <span class="faint">none yet</span>
      ),
  },
];

const policyWords = {
  hashed: "Evenly weighted",
  geoLatency: "Lowest latency",
  static: "Static",
  custom: "Custom",
};

function allocationWords({ allocationPolicy, iotHubHostName, iotHubs = [] }: EnrollmentRecord): JSX.Element {
  const hubs = iotHubHostName ? [iotHubHostName] : iotHubs;
  const policy = allocationPolicy ?? (iotHubHostName ? "static" : "hashed");
  const where = hubs.length === 0 ? "" : hubs.length === 1 ? hubs[0] : `${hubs.length} hubs`;
  return (
    <>
      {policyWords[policy]}
      {where && <span class="beside breakable">{where}</span>}
    </>
  );
}

const isMarked = (marked: Readonly<Record<string, unknown>>, id: string): boolean =>
  Object.keys(marked).some((each) => each.toLowerCase() === id.toLowerCase());
