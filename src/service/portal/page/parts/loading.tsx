// Said only to those who have to wait long enough to wonder.

import type { JSX } from "preact";

export const Loading = (): JSX.Element => (
  <p class="loading hint" role="status">
    Loading…
  </p>
);
