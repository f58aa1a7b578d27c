// Confirmations: what a person asked for has happened. They stand at the lower edge of the window, wherever the page is
// scrolled to, and go by themselves. With them the app's one polite live region: it is there from the beginning, because
// many screen readers stay silent about one that comes together with its text.
import { LitElement, css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { shared } from "./styles.js";

const SHOWN_MS = 10_000;
const EVENT = "pbx-toast";
/** Long enough for a screen reader to take it; what is read on the page afterwards is not read twice. */
const ANNOUNCED_MS = 3_000;
const ANNOUNCE = "pbx-announce";

/** Confirms something to the person: as text, or as parts of text and elements. */
export function confirmDone(content: string | unknown[]): void {
  window.dispatchEvent(new CustomEvent(EVENT, { detail: content }));
}

/** Has a screen reader say what is on the page already, for those who see it. */
export function announce(words: string): void {
  if (words !== "") window.dispatchEvent(new CustomEvent(ANNOUNCE, { detail: words }));
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
  /** What comes in one moment is said together. */
  @state() private announced: readonly string[] = [];
  private timer = 0;
  private readonly say = (event: Event) => {
    const words = (event as CustomEvent<string>).detail;
    this.announced = [...this.announced, words];
    window.setTimeout(() => (this.announced = this.announced.slice(1)), ANNOUNCED_MS);
  };
  private readonly take = (event: Event) => {
    this.content = (event as CustomEvent<string | unknown[]>).detail;
    this.start();
  };

  override connectedCallback() {
    super.connectedCallback();
    window.addEventListener(EVENT, this.take);
    window.addEventListener(ANNOUNCE, this.say);
  }

  override disconnectedCallback() {
    window.removeEventListener(EVENT, this.take);
    window.removeEventListener(ANNOUNCE, this.say);
    super.disconnectedCallback();
  }

  /** A pointer on it keeps it. */
  override render() {
    const shown = this.content !== "";
    return html`<div role="status" @pointerenter=${() => window.clearTimeout(this.timer)} @pointerleave=${this.start}>
      ${shown ? html`<p id="toast">${this.content}</p>` : ""}
      <div class="visually-hidden">${this.announced.map((words) => html`<div>${words}</div>`)}</div>
    </div>`;
  }

  private start() {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => (this.content = ""), SHOWN_MS);
  }
}
