// The hubs that devices can be assigned to.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLiveBursts } from "../data/live.ts";
import { useLoad } from "../data/load.ts";
import { fetchHubs } from "../data/management-calls.ts";
import type { Hub } from "../data/records.ts";
import { useMay } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { Empty } from "../parts/empty.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { Icon } from "../parts/icon.tsx";
import { Loading } from "../parts/loading.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { HubDialog } from "./hub-dialog.tsx";
import { UnlinkHub } from "./unlink-hub.tsx";

type Asked = { readonly what: "link" } | { readonly what: "edit" | "unlink"; readonly hub: Hub };

export function HubList(): JSX.Element {
  const mayWrite = useMay("EnrollmentWrite");
  const [asked, setAsked] = useState<Asked>();
  const { value: hubs, failure, reload } = useLoad(fetchHubs, []);
  useLiveBursts(["hub", "registration"], reload);
  const total = hubs?.reduce((sum, { allocationWeight }) => sum + allocationWeight, 0) ?? 0;

  const columns: Column<Hub>[] = [
    { title: "Hub", cell: ({ hostName }) => <span class="name">{hostName}</span> },
    { title: "Devices", kind: "number", cell: ({ devices }) => devices.toLocaleString() },
    {
      title: "Weight",
      kind: "number",
      cell: ({ allocationWeight }) => (
        <>
          {allocationWeight}
          <span class="beside">{Math.round((100 * allocationWeight) / total)} %</span>
        </>
      ),
    },
    {
      title: "Latency",
      kind: "number",
      cell: ({ latencyMs }) =>
        latencyMs === undefined ? <span class="faint">not declared</span> : `${latencyMs} ms`,
    },
    ...(mayWrite
      ? [
          {
            title: "Actions",
            kind: "row-actions" as const,
            cell: (hub: Hub) => (
              <>
                <Button
                  look="quiet"
                  label={`Edit ${hub.hostName}`}
                  onClick={() => setAsked({ what: "edit", hub })}
                >
                  Edit
                </Button>
                <Button
                  look="quiet"
                  label={`Unlink ${hub.hostName}`}
                  onClick={() => setAsked({ what: "unlink", hub })}
                >
                  Unlink
                </Button>
              </>
            ),
          },
        ]
      : []),
  ];

  const close = (): void => setAsked(undefined);
  const done = (): void => {
    close();
    reload();
  };
  return (
    <>
      <PageTitle title="Hubs">
        {mayWrite && (
          <Button look="primary" onClick={() => setAsked({ what: "link" })}>
            <Icon name="plus" /> Link hub
          </Button>
        )}
      </PageTitle>
      {failure && <FailureNotice failure={failure} title="The hubs could not be loaded" />}
      {!hubs && !failure && <Loading />}
      {hubs && hubs.length > 0 && (
        <Table caption="Linked hubs" columns={columns} rows={hubs} keyOf={({ hostName }) => hostName} />
      )}
      {hubs?.length === 0 && (
        <Empty title="No hub is linked">
          <p>Devices cannot be assigned until there is one.</p>
        </Empty>
      )}
      {asked?.what === "link" && <HubDialog present={hubs ?? []} onClose={close} onSaved={done} />}
      {asked?.what === "edit" && (
        <HubDialog hub={asked.hub} present={hubs ?? []} onClose={close} onSaved={done} />
      )}
      {asked?.what === "unlink" && <UnlinkHub hub={asked.hub} onClose={close} onUnlinked={done} />}
    </>
  );
}
