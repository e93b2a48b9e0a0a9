// Copies a text, and says that it did.

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icon.tsx";
import { notify } from "./notices.tsx";

const acknowledgedMs = 2_000;

/** `what` names the text for those who do not see it, as in "Copy id scope". */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), acknowledgedMs);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
    } catch {
      notify("The browser does not allow copying. Select the text instead.");
    }
  };
  return (
    <button type="button" class="copy" aria-label={`Copy ${what}`} title={`Copy ${what}`} onClick={copy}>
      <Icon name={copied ? "check" : "copy"} />
      <span class="unseen" role="status">
        {copied ? "Copied" : ""}
      </span>
    </button>
  );
}
