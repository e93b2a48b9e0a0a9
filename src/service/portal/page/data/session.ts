// Who is signed in. The cookie itself is out of reach of scripts; what is kept here goes with the page.

import { createStore, useStore } from "./store.ts";

export type Permission =
  | "ServiceConfig"
  | "EnrollmentRead"
  | "EnrollmentWrite"
  | "RegistrationStatusRead"
  | "RegistrationStatusWrite";

export interface Session {
  /** Name of the shared access policy. */
  readonly policy: string;
  readonly permissions: readonly Permission[];
  readonly csrf: string;
}

/** `ended`: there was a session, and what is on the page must not be lost to its end. */
export type SessionState =
  | { readonly kind: "unknown" | "none" }
  | { readonly kind: "open" | "ended"; readonly session: Session };

export const sessionState = createStore<SessionState>({ kind: "unknown" });

export const useSession = (): SessionState => useStore(sessionState);

/** Whether the signed-in policy allows something. The service decides in the end. */
export function useMay(permission: Permission): boolean {
  const state = useSession();
  return "session" in state && state.session.permissions.includes(permission);
}

/** The service does not know this session any more. */
export function endSession(): void {
  const state = sessionState.get();
  if (state.kind === "open") sessionState.set({ kind: "ended", session: state.session });
  else if (state.kind === "unknown") sessionState.set({ kind: "none" });
}
