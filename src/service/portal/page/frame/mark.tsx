// The mark: a mooring bollard with a line around it.

import type { JSX } from "preact";

export const Mark = (): JSX.Element => (
  <svg class="mark" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <rect class="mark-ground" width="24" height="24" rx="5.5" />
    <path
      class="mark-post"
      d="M7.5 5h9a1.7 1.7 0 0 1 0 3.4H15l.6 7.6h2.4a1 1 0 0 1 1 1V19H5v-2a1 1 0 0 1 1-1h2.4L9 8.4H7.5a1.7 1.7 0 0 1 0-3.4z"
    />
    <path class="mark-line" d="M8.3 12.9l7-2.3M8.2 15l7.3-2.4" />
  </svg>
);
