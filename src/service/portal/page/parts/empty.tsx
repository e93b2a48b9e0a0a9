// Where there is nothing yet: what would be here, and how it comes.

import type { ComponentChildren, JSX } from "preact";

export const Empty = ({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}): JSX.Element => (
  <div class="empty">
    <p class="empty-title">{title}</p>
    {children}
  </div>
);
