// Before a hub is unlinked, one reads what becomes of its devices; what speaks against it has to be overruled.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { unlinkHub } from "../data/management-calls.ts";
import type { Hub } from "../data/records.ts";
import { useTask } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { notify } from "../parts/notices.tsx";

interface UnlinkHubProps {
  readonly hub: Hub;
  readonly onClose: () => void;
  readonly onUnlinked: () => void;
}

export function UnlinkHub({ hub: { hostName, devices }, onClose, onUnlinked }: UnlinkHubProps): JSX.Element {
  const { busy, failure, run } = useTask();
  // Once the service has said what speaks against it, one may overrule that.
  const [overruling, setOverruling] = useState(false);
  const force = failure ? failure.status === 409 : overruling;
  const confirm = (): Promise<void> => {
    setOverruling(force);
    return run(async () => {
      await unlinkHub(hostName, { force });
      notify(`Unlinked ${hostName}.`);
      onUnlinked();
    });
  };
  return (
    <Dialog title={`Unlink ${hostName}?`} role="alertdialog" onClose={onClose} onSubmit={confirm}>
      <ul class="consequences">
        <li>No device is assigned to it any more.</li>
        <li>
          {devices === 0
            ? "No device is in it."
            : `Its ${devices.toLocaleString()} ${devices === 1 ? "device stays" : "devices stay"} in it, until they register again and are assigned to another hub.`}
        </li>
      </ul>
      {failure && (
        <FailureNotice failure={failure} title="Not unlinked">
          {force && <p>You can unlink it anyway.</p>}
        </FailureNotice>
      )}
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="danger" busy={busy}>
          {busy ? "Unlinking…" : force ? "Unlink anyway" : "Unlink"}
        </Button>
      </Actions>
    </Dialog>
  );
}
