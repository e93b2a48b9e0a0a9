// Above and below a list: search, what is new, and the way to the other pages.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Listing } from "../data/listing.ts";
import { Button } from "./button.tsx";
import { Icon } from "./icon.tsx";

const typingMs = 250;

interface SearchBoxProps {
  readonly label: string;
  readonly value: string;
  readonly onSearch: (value: string) => void;
}

export function SearchBox({ label, value, onSearch }: SearchBoxProps): JSX.Element {
  const [text, setText] = useState(value);
  const sent = useRef(value);
  const latest = useRef(onSearch);
  latest.current = onSearch;
  // The address changed by another hand: the back button, or a link.
  useEffect(() => {
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return undefined;
    const timer = setTimeout(() => {
      sent.current = text;
      latest.current(text);
    }, typingMs);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <search class="search">
      <Icon name="search" />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        value={text}
        spellcheck={false}
        autocapitalize="off"
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </search>
  );
}

export const Toolbar = ({ children }: { readonly children: ComponentChildren }): JSX.Element => (
  <div class="toolbar">{children}</div>
);

/** What happened out of sight, when the list does not move by itself. */
export function Unseen({ listing }: { readonly listing: Pick<Listing<unknown>, "unseen" | "reload"> }) {
  const { unseen, reload } = listing;
  return (
    <div role="status">
      {unseen > 0 && (
        <button type="button" class="unseen-pill" onClick={reload}>
          {unseen} new or changed · Reload
        </button>
      )}
    </div>
  );
}

export function Pager({ listing }: { readonly listing: Listing<unknown> }): JSX.Element | null {
  const { first, previous, next, pageNumber } = listing;
  if (!first && !next) return null;
  return (
    <nav class="pager" aria-label="Pages">
      <Button look="quiet" disabled={!first} onClick={() => first?.()}>
        First page
      </Button>
      <Button disabled={!previous} onClick={() => previous?.()}>
        <Icon name="back" /> Previous
      </Button>
      <span class="page-number">{pageNumber === undefined ? "" : `Page ${pageNumber}`}</span>
      <Button disabled={!next} onClick={() => next?.()}>
        Next <Icon name="next" />
      </Button>
    </nav>
  );
}
