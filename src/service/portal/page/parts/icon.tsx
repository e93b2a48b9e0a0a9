// The few pictograms of the page, drawn in the colour of the text around them. They never stand alone: a word is
// beside each of them, or on the control that holds it.

import type { JSX } from "preact";

const paths = {
  copy: "M5 5h7v8H5zM3 11V3h7",
  check: "M3 8.5 6.5 12 13 4.5",
  warning: "M8 2.5 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  search: "M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.7 10.7 14 14",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  upload: "M8 10.5V3M5 5.5 8 2.5l3 3M3 10v3.5h10V10",
  lock: "M4 7.5h8v6H4zM5.5 7.5V5a2.5 2.5 0 0 1 5 0v2.5",
  back: "M10 3 5 8l5 5",
  next: "M6 3l5 5-5 5",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { readonly name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
