// Something that a person has asked for and that takes a moment: it cannot be started twice, and it may fail.

import { useCallback, useRef, useState } from "preact/hooks";
import { asFailure, type Failure } from "./call.ts";

export interface Task {
  readonly busy: boolean;
  /** Of the last attempt. */
  readonly failure: Failure | undefined;
  run(act: () => Promise<void>): Promise<void>;
  /** What failed does not matter any more. */
  forgive(): void;
}

export function useTask(): Task {
  const [state, setState] = useState<Pick<Task, "busy" | "failure">>({ busy: false, failure: undefined });
  const running = useRef(false);
  const run = useCallback(async (act: () => Promise<void>) => {
    if (running.current) return;
    running.current = true;
    setState({ busy: true, failure: undefined });
    let failure: Failure | undefined;
    try {
      await act();
    } catch (error) {
      failure = asFailure(error);
    }
    running.current = false;
    setState({ busy: false, failure });
  }, []);
  const forgive = useCallback(() => setState((before) => ({ ...before, failure: undefined })), []);
  return { ...state, run, forgive };
}

/** What was found before sending, and what the service says of one of the fields. */
export const withRefusal = (
  found: ReadonlyMap<string, string>,
  failure: Failure | undefined,
): ReadonlyMap<string, string> =>
  failure?.field === undefined ? found : new Map([...found, [failure.field, failure.message]]);
