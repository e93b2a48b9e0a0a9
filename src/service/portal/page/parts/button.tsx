// Buttons: what one does is its text; what is under way is said in it, and cannot be started twice.

import type { ComponentChildren, JSX } from "preact";

interface ButtonProps {
  readonly children: ComponentChildren;
  readonly look?: "primary" | "danger" | "plain" | "quiet";
  readonly type?: "button" | "submit";
  readonly busy?: boolean;
  readonly disabled?: boolean;
  /** When the text alone does not say on what it acts. */
  readonly label?: string;
  readonly onClick?: () => void;
}

export function Button({
  children,
  look = "plain",
  type = "button",
  busy = false,
  disabled = false,
  label,
  onClick,
}: ButtonProps): JSX.Element {
  return (
    <button
      type={type}
      class={`button ${look}`}
      // One that is busy keeps the focus.
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      disabled={disabled}
      aria-label={label}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.();
      }}
    >
      {children}
    </button>
  );
}
