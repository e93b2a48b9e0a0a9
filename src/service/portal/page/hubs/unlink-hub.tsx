// Before a hub is unlinked, one reads what becomes of its devices; what speaks against it has to be overruled.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { asFailure, type Failure } from "../data/call.ts";
import { unlinkHub } from "../data/management-calls.ts";
import type { Hub } from "../data/records.ts";
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
  const [failure, setFailure] = useState<Failure>();
  const [busy, setBusy] = useState(false);
  const force = failure?.status === 409;
  const confirm = async (): Promise<void> => {
    setBusy(true);
    try {
      await unlinkHub(hostName, { force });
      notify(`Unlinked ${hostName}.`);
      onUnlinked();
    } catch (error) {
      setFailure(asFailure(error));
      setBusy(false);
    }
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
          {force && <p>It can be unlinked all the same.</p>}
        </FailureNotice>
      )}
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="danger" busy={busy}>
          {busy ? "Unlinking…" : force ? "Unlink all the same" : "Unlink"}
        </Button>
      </Actions>
    </Dialog>
  );
}
