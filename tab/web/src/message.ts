// A message to the user: what happened, why, and what to do. Errors are announced immediately, everything else
// politely, through the app's own live region.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { Trouble } from "./api.js";
import { shared } from "./styles.js";
import { announce } from "./toasts.js";
import { t } from "./words.js";

export type Intent = "error" | "warning" | "info" | "success";

@customElement("pbx-message")
export class Message extends LitElement {
  static override styles = [
    shared,
    css`
      div {
        border: 1px solid var(--edge);
        border-inline-start-width: 4px;
        background: var(--colorNeutralBackground1);
        border-radius: var(--borderRadiusMedium, 4px);
        padding: 8px 12px;
        margin-bottom: 12px;
      }
      .error {
        --edge: var(--colorStatusDangerBorderActive, var(--colorPaletteRedBorderActive));
      }
      .warning {
        --edge: var(--colorStatusWarningBorderActive, var(--colorPaletteYellowBorderActive));
      }
      .success {
        --edge: var(--colorStatusSuccessBorderActive, var(--colorPaletteGreenBorderActive));
      }
      .info {
        --edge: var(--colorNeutralStrokeAccessible);
      }
      p {
        margin: 0;
      }
      .title {
        font-weight: 600;
      }
    `,
  ];

  @property() intent: Intent = "error";
  @property({ attribute: false }) trouble: Trouble | null = null;
  /** Text to show instead of a problem. */
  @property() text = "";

  private announced = "";

  override updated() {
    const { title, detail, cure } = this.trouble ?? { title: "", detail: this.text, cure: "" };
    const words = typeof detail === "string" ? [title, detail, cure].filter(Boolean).join(" ") : title;
    if (this.intent !== "error" && words !== this.announced) announce(words);
    this.announced = words;
  }

  override render() {
    if (this.trouble === null && this.text === "") return nothing;
    const role = this.intent === "error" ? "alert" : nothing;
    const { title, detail, cure, requestId } = this.trouble ?? {
      title: "",
      detail: this.text,
      cure: "",
      requestId: undefined,
    };
    return html`<div role=${role} class=${this.intent}>
      ${title ? html`<p class="title">${title}</p>` : nothing}
      <p>${detail}</p>
      ${cure ? html`<p>${cure}</p>` : nothing}
      ${requestId ? html`<p class="hint">${t("error.reference", { id: requestId })}</p>` : nothing}
      <slot></slot>
    </div>`;
  }
}
