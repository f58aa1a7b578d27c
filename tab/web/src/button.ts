// Fluent's button with what assistive technology needs beside it: the role, and that it is busy.
import { html, nothing } from "lit";

export interface Button {
  label: string;
  onClick?: (event: Event) => void;
  id?: string;
  primary?: boolean;
  small?: boolean;
  submit?: boolean;
  /** Cannot be pressed, for instance while what it began is under way. It keeps the focus that it has. */
  disabled?: boolean;
  /** Read instead of the label, which it must contain. */
  ariaLabel?: string;
}

export function button(options: Button) {
  const { label, onClick, id, primary = false, small = false, submit = false, disabled = false, ariaLabel } = options;
  return html`<fluent-button
    role="button"
    id=${id ?? nothing}
    type=${submit ? "submit" : "button"}
    appearance=${primary ? "primary" : nothing}
    size=${small ? "small" : nothing}
    aria-label=${ariaLabel ?? nothing}
    ?disabled-focusable=${disabled}
    aria-disabled=${disabled}
    @click=${disabled ? ignore : (onClick ?? nothing)}
    >${label}</fluent-button
  >`;
}

/** Fluent's own handler comes after this one. */
function ignore(event: Event): void {
  event.stopImmediatePropagation();
}
