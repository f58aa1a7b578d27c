// Fluent's button with what assistive technology needs beside it: the role, and that it is busy.
import { html, nothing } from "lit";

export interface Button {
  label: string;
  onClick?: (event: Event) => void;
  id?: string;
  primary?: boolean;
  small?: boolean;
  submit?: boolean;
  /** Cannot be pressed, for instance while what it began is under way. */
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
    ?disabled=${disabled}
    aria-disabled=${disabled}
    @click=${onClick ?? nothing}
    >${label}</fluent-button
  >`;
}
