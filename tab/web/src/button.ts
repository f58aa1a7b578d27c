// Fluent's button, with what assistive technology needs in addition: its role and its busy state.
import { html, nothing } from "lit";

export interface Button {
  label: string;
  onClick?: (event: Event) => void;
  id?: string;
  primary?: boolean;
  small?: boolean;
  submit?: boolean;
  /** Cannot be pressed, for instance while its action is running. It keeps the focus. */
  disabled?: boolean;
  /** Read by screen readers instead of the label; must contain the label. */
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

/** Stop the event before Fluent's own handler, which runs after this one. */
function ignore(event: Event): void {
  event.stopImmediatePropagation();
}
