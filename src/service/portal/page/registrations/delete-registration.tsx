// Before a registration record is deleted, one reads that this does not lock the device out.

import type { JSX } from "preact";
import { deleteRegistration } from "../data/enrollment-calls.ts";
import type { RegistrationRecord } from "../data/records.ts";
import { useTask } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { notify } from "../parts/notices.tsx";

interface DeleteRegistrationProps {
  readonly registration: RegistrationRecord;
  readonly onClose: () => void;
  readonly onDeleted: () => void;
}

export function DeleteRegistration({
  registration,
  onClose,
  onDeleted,
}: DeleteRegistrationProps): JSX.Element {
  const { registrationId, assignedHub, enrollmentGroupId, etag } = registration;
  const { busy, failure, run } = useTask();
  const confirm = (): Promise<void> =>
    run(async () => {
      await deleteRegistration(registrationId, etag);
      notify(`Deleted the registration of ${registrationId}.`);
      onDeleted();
    });
  return (
    <Dialog
      title={`Delete the registration of ${registrationId}?`}
      role="alertdialog"
      onClose={onClose}
      onSubmit={confirm}
    >
      <ul class="consequences">
        <li>
          The service forgets where the device was assigned. When it registers again, it is assigned anew.
        </li>
        {assignedHub && (
          <li>
            It stays in <strong>{assignedHub}</strong> until it is removed there.
          </li>
        )}
        <li>
          It may still register: {enrollmentGroupId ? `the group ${enrollmentGroupId}` : "its enrollment"}{" "}
          stays. To lock it out,{" "}
          {enrollmentGroupId ? "give it an individual enrollment that is disabled" : "disable or delete that"}
          .
        </li>
      </ul>
      {failure && (
        <FailureNotice
          failure={failure}
          title={
            failure.status === 412
              ? "Not deleted: the device has registered again meanwhile"
              : "It was not deleted"
          }
        />
      )}
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="danger" busy={busy}>
          {busy ? "Deleting…" : "Delete"}
        </Button>
      </Actions>
    </Dialog>
  );
}
