// The heading of a view. When the view changes, the focus and the window's title come along.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface PageTitleProps {
  readonly title: string;
  /** Where one comes from. */
  readonly back?: { readonly href: string; readonly label: string };
  readonly children?: ComponentChildren;
}

let isFirst = true;

export function PageTitle({ title, back, children }: PageTitleProps): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Mooring`;
    // Opening the page leaves the focus where the browser puts it.
    if (!isFirst) heading.current?.focus({ preventScroll: true });
    if (!isFirst) window.scrollTo(0, 0);
    isFirst = false;
  }, [title]);
  return (
    <header class="page-title">
      {back && (
        <a class="back" href={back.href}>
          {back.label}
        </a>
      )}
      <div class="row">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {children}
      </div>
    </header>
  );
}
