// The page as a whole: who may see it, and which view the address asks for.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "../data/call.ts";
import { groupKind, individualKind } from "../data/kinds.ts";
import { listenToService, useLiveBursts } from "../data/live.ts";
import { go, hrefOf, type Route, useRoute } from "../data/route.ts";
import { refreshScenarios } from "../data/scenarios.ts";
import { useSession } from "../data/session.ts";
import { EnrollmentList } from "../enrollments/enrollment-list.tsx";
import { EnrollmentPage, NewEnrollment } from "../enrollments/enrollment-page.tsx";
import { HubList } from "../hubs/hub-list.tsx";
import { Overview } from "../overview/overview.tsx";
import { Empty } from "../parts/empty.tsx";
import { Notices } from "../parts/notices.tsx";
import { PageTitle } from "../parts/page-title.tsx";
import { QuotaPage } from "../quotas/quota-form.tsx";
import { RegistrationList } from "../registrations/registration-list.tsx";
import { RegistrationPage } from "../registrations/registration-page.tsx";
import { ScenarioList } from "../scenarios/scenario-list.tsx";
import { Header } from "./header.tsx";
import { resumeSession, SignInAgain, SignInPage, signIn } from "./sign-in.tsx";

export function App(): JSX.Element | null {
  const state = useSession();
  const [refusal, setRefusal] = useState<Failure>();
  useEffect(() => {
    const arrive = (): void => {
      enter().catch((error) => {
        setRefusal(asFailure(error));
        return resumeSession();
      });
    };
    const follow = (): void => void (linkToken() !== undefined && arrive());
    arrive();
    // A link that is pasted where the page is open already does not load it anew.
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  if (state.kind === "unknown") return null;
  if (state.kind === "none") return <SignInPage refusal={refusal} />;
  return (
    <>
      <Portal policy={"session" in state ? state.session.policy : ""} />
      {state.kind === "ended" && <SignInAgain policy={"session" in state ? state.session.policy : ""} />}
    </>
  );
}

/** A link that works once brings its token behind the #, where no server and no referrer sees it. */
async function enter(): Promise<void> {
  const token = linkToken();
  if (token === undefined) return resumeSession();
  go(hrefOf(["overview"]), { replace: true });
  await signIn({ token });
}

const linkToken = (): string | undefined => /^#\/?token=([\w-]+)$/.exec(location.hash)?.[1];

function Portal({ policy }: { readonly policy: string }): JSX.Element {
  const route = useRoute();
  useEffect(listenToService, []);
  const refresh = (): void => void refreshScenarios().catch(() => undefined);
  useEffect(refresh, []);
  useLiveBursts(["scenario"], refresh);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <Header policy={policy} current={route.path[0] ?? "overview"} />
      <main id="main" tabIndex={-1}>
        <View route={route} />
      </main>
      <Notices />
    </>
  );
}

function View({ route }: { readonly route: Route }): JSX.Element {
  const [tab = "overview", id] = route.path;
  switch (tab) {
    case "overview":
      return <Overview />;
    case "groups":
    case "enrollments": {
      const kind = tab === "groups" ? groupKind : individualKind;
      if (id === undefined) return <EnrollmentList key={tab} kind={kind} route={route} />;
      return <EnrollmentPage key={`${tab}/${id}`} kind={kind} id={id} />;
    }
    case groupKind.addRoute:
      return <NewEnrollment key={tab} kind={groupKind} />;
    case individualKind.addRoute:
      return <NewEnrollment key={tab} kind={individualKind} />;
    case "registrations":
      return id === undefined ? <RegistrationList route={route} /> : <RegistrationPage key={id} id={id} />;
    case "hubs":
      return <HubList />;
    case "scenarios":
      return <ScenarioList />;
    case "quotas":
      return <QuotaPage />;
    default:
      return (
        <>
          <PageTitle title="Not found" />
          <Empty title="There is nothing at this address.">
            <a href={hrefOf(["overview"])}>Overview</a>
          </Empty>
        </>
      );
  }
}
