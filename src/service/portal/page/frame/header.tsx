// The top of every view: whose service this is, who is signed in, the tabs, and what must not be overlooked.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { connection } from "../data/connection.ts";
import { groupKind, individualKind } from "../data/kinds.ts";
import { liveState } from "../data/live.ts";
import { hrefOf } from "../data/route.ts";
import { activeScenarios, scenarios, scenarioWords } from "../data/scenarios.ts";
import { useStore } from "../data/store.ts";
import { Button } from "../parts/button.tsx";
import { Icon } from "../parts/icon.tsx";
import { ClearScenario } from "../scenarios/clear-scenario.tsx";
import { Mark } from "./mark.tsx";
import { signOut } from "./sign-in.tsx";

const tabs = [
  { route: "overview", title: "Overview" },
  { route: "groups", also: groupKind.addRoute, title: groupKind.title },
  { route: "enrollments", also: individualKind.addRoute, title: individualKind.title },
  { route: "registrations", title: "Registrations" },
  { route: "hubs", title: "Hubs" },
  { route: "scenarios", title: "Scenarios" },
  { route: "quotas", title: "Quotas" },
] as const;

export function Header({
  policy,
  current,
}: {
  readonly policy: string;
  readonly current: string;
}): JSX.Element {
  const tabBar = useRef<HTMLElement>(null);
  // On a narrow screen the row of tabs is longer than the screen.
  useEffect(() => {
    tabBar.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [current]);
  return (
    <header class="top">
      <div class="top-line">
        <a class="brand" href={hrefOf(["overview"])}>
          <Mark />
          <span>
            Mooring <span class="brand-rest">provisioning service</span>
          </span>
        </a>
        <LiveDot />
        <span class="who" title="The policy you are signed in with">
          {policy}
        </span>
        <Button look="quiet" onClick={signOut}>
          Sign out
        </Button>
      </div>
      <nav class="tabs" aria-label="Views" ref={tabBar}>
        {tabs.map((tab) => (
          <a
            key={tab.route}
            href={hrefOf([tab.route])}
            aria-current={
              tab.route === current || ("also" in tab && tab.also === current) ? "page" : undefined
            }
          >
            {tab.title}
          </a>
        ))}
      </nav>
      <ConnectionBanner />
      <ScenarioBanner />
    </header>
  );
}

const liveWords = { live: "Live", connecting: "Connecting", off: "Not live" };

function LiveDot(): JSX.Element {
  const state = useStore(liveState);
  return <span class={state === "live" ? "live on" : "live"}>{liveWords[state]}</span>;
}

function ConnectionBanner(): JSX.Element {
  const lost = useStore(connection) === "lost";
  return (
    <div role="alert">
      {lost && (
        <p class="banner lost">
          <Icon name="warning" /> The service cannot be reached. What you see may be old; trying again…
        </p>
      )}
    </div>
  );
}

function ScenarioBanner(): JSX.Element {
  const active = activeScenarios(useStore(scenarios));
  const [first] = active;
  return (
    <div role="status">
      {first && (
        <div class="banner alarm">
          <Icon name="warning" />
          <p>
            <strong>The service misbehaves on purpose.</strong>{" "}
            {active.length === 1
              ? `${scenarioWords(first.scenario)}, for ${first.scope.to === "service" ? "every device" : first.scope.id}.`
              : `${active.length} scenarios are active.`}
          </p>
          <a href={hrefOf(["scenarios"])}>Show</a>
          {active.length === 1 && <ClearScenario scope={first.scope} />}
        </div>
      )}
    </div>
  );
}
