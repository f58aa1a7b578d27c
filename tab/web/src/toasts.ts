// Confirmations that an action was successful. They appear at the lower edge of the window, at any scroll position,
// and disappear automatically. They include the app's only polite live region, which exists from the start, because
// many screen readers ignore a region that is inserted together with its text.
import { LitElement, css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { shared } from "./styles.js";

const SHOWN_MS = 10_000;
const EVENT = "pbx-toast";
/**
 * How long an announcement stays in the live region: long enough for screen readers to read it, but not so long
 * that they find it again when reading the page.
 */
const ANNOUNCED_MS = 3_000;
const ANNOUNCE = "pbx-announce";

/** Confirm an action with a text, or with a list of texts and elements; or warn of something that needs no answer. */
export function confirmDone(content: string | unknown[], intent: "success" | "warning" = "success"): void {
  window.dispatchEvent(new CustomEvent(EVENT, { detail: { content, intent } }));
}

/** Announce to screen readers what sighted users already see on the page. */
export function announce(words: string): void {
  if (words !== "") window.dispatchEvent(new CustomEvent(ANNOUNCE, { detail: words }));
}

interface Toast {
  content: string | unknown[];
  intent: "success" | "warning";
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
      .warning {
        border-color: var(--colorStatusWarningBorderActive, #bc4b09);
      }
    `,
  ];

  @state() private content: string | unknown[] = "";
  @state() private intent: Toast["intent"] = "success";
  /** Simultaneous announcements are made together. */
  @state() private announced: readonly string[] = [];
  private timer = 0;
  private readonly say = (event: Event) => {
    const words = (event as CustomEvent<string>).detail;
    this.announced = [...this.announced, words];
    window.setTimeout(() => (this.announced = this.announced.slice(1)), ANNOUNCED_MS);
  };
  private readonly take = (event: Event) => {
    ({ content: this.content, intent: this.intent } = (event as CustomEvent<Toast>).detail);
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

  /** Confirmations stay while the pointer is on them. */
  override render() {
    const shown = this.content !== "";
    return html`<div role="status" @pointerenter=${() => window.clearTimeout(this.timer)} @pointerleave=${this.start}>
      ${shown ? html`<p id="toast" class=${this.intent}>${this.content}</p>` : ""}
      <div class="visually-hidden">${this.announced.map((words) => html`<div>${words}</div>`)}</div>
    </div>`;
  }

  private start() {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => (this.content = ""), SHOWN_MS);
  }
}
