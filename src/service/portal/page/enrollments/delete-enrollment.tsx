// Before an enrollment is deleted, one reads what becomes of its devices.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../data/call.ts";
import { deleteEnrollment, deleteRegistration, fetchGroupRegistrations } from "../data/enrollment-calls.ts";
import { type EnrollmentKind, idOf } from "../data/kinds.ts";
import { useLoad } from "../data/load.ts";
import type { EnrollmentRecord } from "../data/records.ts";
import { groupOf } from "../data/registration-view.ts";
import { useMay } from "../data/session.ts";
import { useTask } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { Option } from "../parts/inputs.tsx";
import { notify } from "../parts/notices.tsx";

interface DeleteEnrollmentProps {
  readonly kind: EnrollmentKind;
  readonly record: EnrollmentRecord;
  readonly onClose: () => void;
  readonly onDeleted: () => void;
}

export function DeleteEnrollment({ kind, record, onClose, onDeleted }: DeleteEnrollmentProps): JSX.Element {
  const id = idOf(kind, record);
  const isGroup = kind.route === "groups";
  const mayDeleteRecords = useMay("RegistrationStatusWrite");
  const [withRecords, setWithRecords] = useState(false);
  const [removed, setRemoved] = useState(0);
  const { busy, failure, run } = useTask();

  const confirm = (): Promise<void> =>
    run(async () => {
      await deleteEnrollment(kind, id, record.etag);
      if (isGroup && withRecords) await deleteRecordsOf(id, setRemoved);
      notify(`Deleted ${id}.`);
      onDeleted();
    });

  return (
    <Dialog title={`Delete ${id}?`} role="alertdialog" onClose={onClose} onSubmit={confirm}>
      {isGroup ? <GroupConsequences id={id} /> : <DeviceConsequences record={record} />}
      {isGroup && (
        <Option
          type="checkbox"
          name="withRecords"
          checked={withRecords}
          disabled={!mayDeleteRecords}
          onChecked={setWithRecords}
          hint={
            mayDeleteRecords
              ? "Otherwise they are kept, and can be deleted one by one under Registrations."
              : "The policy you signed in with may not delete registration records: they are kept."
          }
        >
          Delete the registration records of this group as well
        </Option>
      )}
      {failure && <DeletionFailure failure={failure} />}
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="danger" busy={busy}>
          {busy ? `Deleting…${removed > 0 ? ` ${removed} records` : ""}` : "Delete"}
        </Button>
      </Actions>
    </Dialog>
  );
}

/** As many at once as a browser has connections to one server, less that of the events. */
const atOnce = 5;

/** Page by page, until none is left. */
async function deleteRecordsOf(groupId: string, tell: (removed: number) => void): Promise<void> {
  for (let removed = 0; ; ) {
    const records = await fetchGroupRegistrations(groupId);
    if (records.length === 0) return;
    for (let first = 0; first < records.length; first += atOnce) {
      const some = records.slice(first, first + atOnce);
      await Promise.all(some.map(({ registrationId }) => deleteIfThere(registrationId)));
      removed += some.length;
      tell(removed);
    }
  }
}

/** Somebody else may be at it as well. */
async function deleteIfThere(registrationId: string): Promise<void> {
  try {
    await deleteRegistration(registrationId, undefined);
  } catch (error) {
    if (asFailure(error).status !== 404) throw error;
  }
}

function DeviceConsequences({ record }: { readonly record: EnrollmentRecord }): JSX.Element {
  const { registrationState: state } = record;
  const group = state && groupOf(state);
  return (
    <ul class="consequences">
      <li>
        The next registration of this device is <strong>refused</strong>, unless an enrollment group lets it
        in.
      </li>
      {!state && <li>It has not registered yet: there is no registration record.</li>}
      {state && group === undefined && <li>Its registration record is removed with the enrollment.</li>}
      {group !== undefined && (
        <li>
          It registered through the group <strong>{group}</strong>: its registration record stays.
        </li>
      )}
      {state?.assignedHub && (
        <li>
          It stays in <strong>{state.assignedHub}</strong> as <strong>{state.deviceId}</strong>, and keeps
          working there until it is removed from that hub.
        </li>
      )}
    </ul>
  );
}

function GroupConsequences({ id }: { readonly id: string }): JSX.Element {
  const { value } = useLoad((signal) => fetchGroupRegistrations(id, signal), [id]);
  return (
    <ul class="consequences">
      <li>
        The next registration of each of its devices is <strong>refused</strong>, unless an enrollment of its
        own lets it in.
      </li>
      <li>
        {value === undefined
          ? "Devices that registered stay in their hubs until they are removed there."
          : value.length === 0
            ? "No device has registered through it."
            : `${value.length === 100 ? "100 or more" : value.length} ${value.length === 1 ? "device has" : "devices have"} registered through it, and stay in their hubs until they are removed there.`}
      </li>
    </ul>
  );
}

function DeletionFailure({ failure }: { readonly failure: Failure }): JSX.Element {
  if (failure.status === 412)
    return (
      <FailureNotice failure={failure} title="Not deleted: it was changed meanwhile">
        <p>Close this, look at what changed, and delete it again if it is still wanted.</p>
      </FailureNotice>
    );
  return (
    <FailureNotice
      failure={failure}
      title={failure.status === 404 ? "It is not there any more" : "It was not deleted"}
    />
  );
}
