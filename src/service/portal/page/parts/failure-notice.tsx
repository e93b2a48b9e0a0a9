// What went wrong, in the service's words, with the id under which its log has more.

import type { ComponentChildren, JSX } from "preact";
import type { Failure } from "../data/call.ts";
import { CopyButton } from "./copy-button.tsx";
import { Icon } from "./icon.tsx";

interface FailureNoticeProps {
  readonly failure: Failure;
  /** What could not be done, as "The enrollment was not saved". */
  readonly title: string;
  readonly children?: ComponentChildren;
}

export function FailureNotice({ failure, title, children }: FailureNoticeProps): JSX.Element {
  const { message, trackingId, status } = failure;
  return (
    <div class="failure" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{title}.</strong> {status === 403 ? "The policy you signed in with does not allow it. " : ""}
        {message}
        {trackingId && (
          <p class="tracking">
            Tracking id <code>{trackingId}</code>
            <CopyButton text={trackingId} what="tracking id" />
          </p>
        )}
        {children}
      </div>
    </div>
  );
}
