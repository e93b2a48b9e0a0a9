// The mark: a mooring bollard with a line around it.

import type { JSX } from "preact";

export const Mark = (): JSX.Element => (
  <svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path class="mark-post" d="M7 4.5h10a2 2 0 0 1 0 4h-1.5V17h-7V8.500H7a2 2 0 0 1 0-4zM5 17h14v3H5z" />
    <path class="mark-line" d="M3 13.500c4-2.600 8-.600 10 .200s5 1.200 8-1" />
  </svg>
);
