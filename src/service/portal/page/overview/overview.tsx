// What is here, what happens, and how a device comes in.

import type { JSX } from "preact";
import { useLiveBursts } from "../data/live.ts";
import { useLoad } from "../data/load.ts";
import { fetchOverview } from "../data/management-calls.ts";
import type { Overview as Counts } from "../data/records.ts";
import { hrefOf } from "../data/route.ts";
import { useMay } from "../data/session.ts";
import { CopyButton } from "../parts/copy-button.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { DevicesPerHub } from "./devices-per-hub.tsx";
import { RegistrationsOverTime } from "./registrations-over-time.tsx";

export function Overview(): JSX.Element {
  const { value, failure, reload } = useLoad(fetchOverview, []);
  const maySeeRegistrations = useMay("RegistrationStatusRead");
  useLiveBursts(["registration", "enrollment", "enrollmentGroup", "hub"], reload);
  return (
    <>
      <PageTitle title="Overview" />
      {failure && <FailureNotice failure={failure} title="The overview could not be loaded" />}
      {value && <Counters counts={value} />}
      <div class="columns even">
        {maySeeRegistrations && <RegistrationsOverTime />}
        <div class="stack">
          {maySeeRegistrations && <DevicesPerHub />}
          {value && <Connect idScope={value.idScope} />}
        </div>
      </div>
    </>
  );
}

function Counters({ counts }: { readonly counts: Counts }): JSX.Element {
  const tiles = [
    { count: counts.enrollmentGroups, one: "Enrollment group", many: "Enrollment groups", route: "groups" },
    {
      count: counts.enrollments,
      one: "Individual enrollment",
      many: "Individual enrollments",
      route: "enrollments",
    },
    { count: counts.registrations, one: "Registration", many: "Registrations", route: "registrations" },
    { count: counts.hubs, one: "Hub", many: "Hubs", route: "hubs" },
  ];
  return (
    <ul class="tiles">
      {tiles.map(({ count, one, many, route }) => (
        <li key={route}>
          <a href={hrefOf([route])}>
            <span class="tile-count">{count.toLocaleString()}</span> <span>{count === 1 ? one : many}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

function Connect({ idScope }: { readonly idScope: string }): JSX.Element {
  const { hostname, host, port } = location;
  const ports = port === "" ? "" : `\n\n[provisioning.ports]\nhttps = ${port}`;
  const configuration = `[provisioning]\nendpoint = "${hostname}"\nid_scope = "${idScope}"\nca_file = "ca.pem"${ports}`;
  return (
    <section class="card" aria-labelledby="connect">
      <h2 id="connect">Connect a gateway</h2>
      <dl class="facts">
        <div>
          <dt>Id scope</dt>
          <dd class="thumbprint">
            <code>{idScope}</code>
            <CopyButton text={idScope} what="id scope" />
          </dd>
        </div>
        <div>
          <dt>Endpoint</dt>
          <dd class="thumbprint">
            <code>{host}</code>
            <CopyButton text={host} what="endpoint" />
          </dd>
        </div>
      </dl>
      <p class="hint">
        In <code>config.toml</code> of the gateway, with <code>ca.pem</code> from the service's data directory
        beside it:
      </p>
      <div class="snippet">
        <pre>{configuration}</pre>
        <CopyButton text={configuration} what="configuration" />
      </div>
    </section>
  );
}
