// Links a hub, or changes its weight and latency.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { saveHub } from "../data/management-calls.ts";
import type { Hub } from "../data/records.ts";
import { useTask, withRefusal } from "../data/task.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { TextField } from "../parts/inputs.tsx";
import { notify } from "../parts/notices.tsx";

interface HubDialogProps {
  /** Absent: a new one. */
  readonly hub?: Hub;
  readonly present: readonly Hub[];
  readonly onClose: () => void;
  readonly onSaved: () => void;
}

export function HubDialog({ hub, present, onClose, onSaved }: HubDialogProps): JSX.Element {
  const [hostName, setHostName] = useState(hub?.hostName ?? "");
  const [weight, setWeight] = useState(String(hub?.allocationWeight ?? 1));
  const [latency, setLatency] = useState(hub?.latencyMs === undefined ? "" : String(hub.latencyMs));
  const [found, setFound] = useState<ReadonlyMap<string, string>>(new Map());
  const { busy, failure, run } = useTask();
  const mistakes = withRefusal(found, failure);

  const save = async (): Promise<void> => {
    const name = hostName.trim();
    const found = new Map<string, string>();
    if (!/^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(name))
      found.set("hostName", "Enter the host name of the hub, such as contoso.azure-devices.net.");
    else if (!hub && present.some((each) => each.hostName.toLowerCase() === name.toLowerCase()))
      found.set("hostName", "This hub is already linked.");
    if (!/^\d+$/.test(weight) || Number(weight) < 1 || Number(weight) > 1000)
      found.set("allocationWeight", "A whole number from 1 to 1000.");
    if (latency.trim() !== "" && !(Number(latency) >= 0))
      found.set("latencyMs", "A number of milliseconds, or nothing.");
    setFound(found);
    if (found.size > 0) return;
    await run(async () => {
      await saveHub(name, {
        allocationWeight: Number(weight),
        latencyMs: latency.trim() === "" ? null : Number(latency),
      });
      notify(hub ? `Saved ${name}.` : `Linked ${name}.`);
      onSaved();
    });
  };

  return (
    <Dialog title={hub ? `Edit ${hub.hostName}` : "Link a hub"} onClose={onClose} onSubmit={save}>
      {!hub && (
        <TextField
          label="Host name"
          name="hostName"
          code
          autofocus
          placeholder="contoso.azure-devices.net"
          value={hostName}
          mistake={mistakes.get("hostName")}
          onValue={setHostName}
        />
      )}
      <TextField
        label="Weight"
        name="allocationWeight"
        type="number"
        hint="Its share under the evenly weighted distribution, 1 to 1000."
        value={weight}
        mistake={mistakes.get("allocationWeight")}
        onValue={setWeight}
      />
      <TextField
        label="Latency (optional)"
        name="latencyMs"
        type="number"
        unit="ms"
        hint="Used by the lowest-latency policy."
        value={latency}
        mistake={mistakes.get("latencyMs")}
        onValue={setLatency}
      />
      {failure && <FailureNotice failure={failure} title="The hub was not saved" />}
      <Actions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={busy}>
          {busy ? "Saving…" : hub ? "Save" : "Link"}
        </Button>
      </Actions>
    </Dialog>
  );
}
