// A native text field with label, hint and state, in Fluent's colours. Fluent's own text input keeps its <input> in
// a shadow root, where a hint outside cannot describe it to screen readers.
import { css, html, nothing } from "lit";

export interface Field {
  id: string;
  label: string;
  hint?: string;
  type?: "text" | "password" | "search" | "date" | "time";
  value?: string;
  autocomplete?: string;
  maxLength?: number;
  /** Earliest date, for a date field. */
  min?: string;
  max?: string;
  required?: boolean;
  invalid?: boolean;
  /** What is wrong with the value; marks the field as invalid unless empty. */
  error?: string;
  inputMode?: "numeric" | "decimal";
  /** Id of a describing element other than the hint. */
  describedBy?: string;
  onInput?: (event: Event) => void;
  /** Called when the value is complete: on leaving the field, or with Enter. */
  onChange?: () => void;
}

export function field(options: Field) {
  const { id, label, hint, type = "text", value, autocomplete = "off", maxLength, min, max } = options;
  const { required = false, error = "", invalid = error !== "", describedBy, inputMode, onInput, onChange } = options;
  const described = [hint ? `${id}-hint` : describedBy, error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input
      id=${id}
      name=${id}
      type=${type}
      .value=${value ?? ""}
      autocomplete=${autocomplete}
      autocapitalize="off"
      spellcheck="false"
      inputmode=${inputMode ?? nothing}
      maxlength=${maxLength ?? nothing}
      min=${min ?? nothing}
      max=${max ?? nothing}
      ?required=${required}
      aria-describedby=${described || nothing}
      aria-invalid=${invalid ? "true" : nothing}
      @input=${onInput ?? nothing}
      @change=${onChange ?? nothing}
    />
    ${hint ? html`<p class="hint" id="${id}-hint">${hint}</p>` : nothing}
    ${error ? html`<p class="hint wrong" id="${id}-error">${error}</p>` : nothing}
  </div>`;
}

export interface Choice {
  id: string;
  label: string;
  hint?: string;
  value: string;
  disabled?: boolean;
  options: readonly { value: string; label: string }[];
  onChange: (value: string) => void;
}

/** A native select, which phones display with their own picker. */
export function choice(given: Choice) {
  const { id, label, hint, value, disabled = false, options, onChange } = given;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <select
      id=${id}
      ?disabled=${disabled}
      aria-describedby=${hint ? `${id}-hint` : nothing}
      @change=${(event: Event) => onChange((event.target as HTMLSelectElement).value)}
    >
      ${options.map((option) => html`<option value=${option.value} ?selected=${option.value === value}>${option.label}</option>`)}
    </select>
    ${hint ? html`<p class="hint" id="${id}-hint">${hint}</p>` : nothing}
  </div>`;
}

export const fieldStyles = css`
  .field {
    display: flex;
    flex-direction: column;
    gap: 4px;
  }
  .field label {
    font-weight: 600;
  }
  .field input,
  .field select {
    font: inherit;
    color: var(--colorNeutralForeground1);
    background: var(--colorNeutralBackground1);
    border: 1px solid var(--colorNeutralStroke1);
    border-bottom-color: var(--colorNeutralStrokeAccessible);
    border-radius: var(--borderRadiusMedium, 4px);
    padding: 5px 10px;
    min-height: 32px;
    box-sizing: border-box;
    width: 100%;
  }
  /* Within: the button of a date field has the focus to itself. */
  .field input:focus-within,
  .field select:focus {
    outline: 2px solid var(--colorStrokeFocus2);
    outline-offset: 1px;
  }
  .field input[aria-invalid="true"] {
    border-color: var(--colorPaletteRedBorderActive);
  }
  .field .wrong {
    color: var(--colorPaletteRedForeground1, #b10e1c);
  }
`;
