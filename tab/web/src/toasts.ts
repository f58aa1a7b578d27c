// Confirmations: what a person asked for has happened. They stand at the lower edge of the window, wherever the page is
// scrolled to, and go by themselves. Their live region is there from the beginning, so that screen readers read them.
import { LitElement, css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { shared } from "./styles.js";

const SHOWN_MS = 10_000;
const EVENT = "pbx-toast";

/** Confirms something to the person: as text, or as parts of text and elements. */
export function confirmDone(content: string | unknown[]): void {
  window.dispatchEvent(new CustomEvent(EVENT, { detail: content }));
}

@customElement("pbx-toasts")
export class Toasts extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        position: fixed;
        inset: auto 16px 16px;
        z-index: 10;
        pointer-events: none;
      }
      p {
        width: fit-content;
        max-width: min(480px, 100%);
        box-sizing: border-box;
        margin: 0 auto;
        padding: 10px 16px;
        overflow-wrap: anywhere;
        pointer-events: auto;
        background: var(--colorNeutralBackground1);
        border: 1px solid var(--colorStatusSuccessBorderActive, var(--colorPaletteGreenBorderActive));
        border-inline-start-width: 4px;
        border-radius: var(--borderRadiusMedium, 4px);
        box-shadow: var(--shadow16, 0 4px 16px rgba(0, 0, 0, 0.3));
      }
    `,
  ];

  @state() private content: string | unknown[] = "";
  private timer = 0;
  private readonly take = (event: Event) => {
    this.content = (event as CustomEvent<string | unknown[]>).detail;
    this.start();
  };

  override connectedCallback() {
    super.connectedCallback();
    window.addEventListener(EVENT, this.take);
  }

  override disconnectedCallback() {
    window.removeEventListener(EVENT, this.take);
    super.disconnectedCallback();
  }

  /** A pointer on it keeps it. */
  override render() {
    const shown = this.content !== "";
    return html`<div role="status" @pointerenter=${() => window.clearTimeout(this.timer)} @pointerleave=${this.start}>
      ${shown ? html`<p id="toast">${this.content}</p>` : ""}
    </div>`;
  }

  private start() {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => (this.content = ""), SHOWN_MS);
  }
}
