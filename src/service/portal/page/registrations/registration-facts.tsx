// One registration record, member by member.

import type { JSX } from "preact";
import { attestationNames } from "../data/kinds.ts";
import type { RegistrationRecord } from "../data/records.ts";
import { attestationOf } from "../data/registration-view.ts";
import { Fact, FactList } from "../parts/facts.tsx";
import { RegistrationStatus } from "../parts/status.tsx";
import { Moment } from "../parts/time.tsx";

const substatusWords: Record<string, string> = {
  initialAssignment: "first assignment",
  deviceDataMigrated: "moved, with its data",
  deviceDataReset: "moved, and reset",
  reprovisionedToInitialAssignment: "back at its first hub",
};

export function RegistrationFacts({
  registration,
}: {
  readonly registration: RegistrationRecord;
}): JSX.Element {
  const { status, substatus, assignedHub, deviceId, errorCode, errorMessage, devicePayload, payload } =
    registration;
  return (
    <FactList>
      <Fact name="Status">
        <RegistrationStatus status={status} />
        {substatus && <span class="beside">{substatusWords[substatus] ?? substatus}</span>}
      </Fact>
      {assignedHub && <Fact name="Hub">{assignedHub}</Fact>}
      {deviceId && <Fact name="Device id">{deviceId}</Fact>}
      {errorCode !== undefined && (
        <Fact name="Error">
          <code>{errorCode}</code> {errorMessage}
        </Fact>
      )}
      <Fact name="Attestation">{attestationNames[attestationOf(registration)]}</Fact>
      <Fact name="First registered">
        <Moment at={registration.createdDateTimeUtc} />
      </Fact>
      <Fact name="Last updated">
        <Moment at={registration.lastUpdatedDateTimeUtc} />
      </Fact>
      {devicePayload !== undefined && (
        <Fact name="Device payload">
          <code>{JSON.stringify(devicePayload)}</code>
        </Fact>
      )}
      {payload !== undefined && (
        <Fact name="Webhook payload">
          <code>{JSON.stringify(payload)}</code>
        </Fact>
      )}
    </FactList>
  );
}
