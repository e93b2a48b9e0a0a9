// The door: a policy's key, or a link that works once. A session that ended is renewed in front of the page, so that
// nothing typed is lost.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asFailure, call, type Failure } from "../data/call.ts";
import { forgetDrafts } from "../data/drafts.ts";
import { type Session, sessionState } from "../data/session.ts";
import { Button } from "../parts/button.tsx";
import { Actions, Dialog } from "../parts/dialog.tsx";
import { FailureNotice } from "../parts/failure-notice.tsx";
import { TextField } from "../parts/inputs.tsx";
import { Mark } from "./mark.tsx";

/** Throws a `Failure`. */
export async function signIn(credential: { policy: string; key: string } | { token: string }): Promise<void> {
  const session = await call<Session>("POST", "/portal/session", { body: credential });
  sessionState.set({ kind: "open", session });
}

/** Whoever has a session already needs no door. */
export async function resumeSession(): Promise<void> {
  try {
    sessionState.set({ kind: "open", session: await call<Session>("GET", "/portal/session") });
  } catch {
    sessionState.set({ kind: "none" });
  }
}

export async function signOut(): Promise<void> {
  try {
    await call("DELETE", "/portal/session");
  } finally {
    leave();
  }
}

/** What one person typed is not for the next. */
function leave(): void {
  forgetDrafts();
  sessionState.set({ kind: "none" });
}

export function SignInPage({ refusal }: { readonly refusal: Failure | undefined }): JSX.Element {
  const form = useSignIn("provisioningserviceowner");
  useEffect(() => {
    document.title = "Sign in · Mooring";
  }, []);
  return (
    <main class="sign-in">
      <form
        class="card"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void form.submit();
        }}
      >
        <Mark />
        <h1>Local provisioning service</h1>
        {refusal && !form.failure && <FailureNotice failure={refusal} title="The link did not let you in" />}
        <SignInFields form={form} />
        <Actions>
          <Button type="submit" look="primary" busy={form.busy}>
            {form.busy ? "Signing in…" : "Sign in"}
          </Button>
        </Actions>
        <p class="hint">
          The key is in the file <code>connection-string</code> of the service's data directory. Or use the
          link that <code>mooring service portal</code> prints.
        </p>
      </form>
    </main>
  );
}

export function SignInAgain({ policy }: { readonly policy: string }): JSX.Element {
  const form = useSignIn(policy);
  return (
    <Dialog title="The session has ended" insistent onClose={() => undefined} onSubmit={form.submit}>
      <p>Sign in again; what you typed is still here.</p>
      <SignInFields form={form} />
      <Actions>
        <Button onClick={leave}>Leave</Button>
        <Button type="submit" look="primary" busy={form.busy}>
          {form.busy ? "Signing in…" : "Sign in"}
        </Button>
      </Actions>
    </Dialog>
  );
}

interface SignInForm {
  readonly policy: string;
  readonly key: string;
  readonly busy: boolean;
  readonly missing: boolean;
  readonly failure: Failure | undefined;
  setPolicy(policy: string): void;
  setKey(key: string): void;
  submit(): Promise<void>;
}

function useSignIn(initialPolicy: string): SignInForm {
  const [policy, setPolicy] = useState(initialPolicy);
  const [key, setKey] = useState("");
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const submit = async (): Promise<void> => {
    setFailure(undefined);
    setMissing(key.trim() === "");
    if (key.trim() === "") return;
    setBusy(true);
    try {
      await signIn({ policy: policy.trim(), key: key.trim() });
    } catch (error) {
      setFailure(asFailure(error));
      setBusy(false);
    }
  };
  return { policy, key, busy, missing, failure, setPolicy, setKey, submit };
}

const SignInFields = ({ form }: { readonly form: SignInForm }): JSX.Element => (
  <>
    <TextField
      label="Policy"
      name="policy"
      code
      autocomplete="username"
      value={form.policy}
      onValue={form.setPolicy}
    />
    <TextField
      label="Key"
      name="key"
      type="password"
      code
      autofocus
      autocomplete="current-password"
      value={form.key}
      mistake={form.missing ? "Enter the primary or secondary key of the policy." : undefined}
      onValue={form.setKey}
    />
    {form.failure && <FailureNotice failure={form.failure} title="Not signed in" />}
  </>
);
