// A question in front of the page. The browser keeps the focus inside, closes on Escape and gives the focus back.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface DialogProps {
  readonly title: string;
  readonly children: ComponentChildren;
  /** Escape, or the Cancel button inside. */
  readonly onClose: () => void;
  /** What Enter does, and the button of type submit. */
  readonly onSubmit: () => void;
  readonly role?: "alertdialog";
  /** It has to be answered: Escape does not close it. */
  readonly insistent?: boolean;
}

export function Dialog({
  title,
  children,
  onClose,
  onSubmit,
  role,
  insistent = false,
}: DialogProps): JSX.Element {
  const box = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const dialog = box.current;
    const origin = document.activeElement;
    dialog?.showModal();
    return () => {
      box.current = null;
      dialog?.close();
      if (origin instanceof HTMLElement && origin.isConnected) origin.focus();
    };
  }, []);
  return (
    <dialog
      ref={box}
      aria-labelledby={titleId}
      role={role}
      onCancel={(event) => {
        event.preventDefault();
        if (!insistent) onClose();
      }}
      // Sometimes a browser closes it without asking.
      onClose={() => (insistent ? box.current?.showModal() : box.current && onClose())}
    >
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit();
        }}
      >
        <h2 id={titleId}>{title}</h2>
        {children}
      </form>
    </dialog>
  );
}

/** The buttons at the foot of a dialog or form. */
export function Actions({ children }: { readonly children: ComponentChildren }): JSX.Element {
  return <div class="actions">{children}</div>;
}
