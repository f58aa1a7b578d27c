// Confirmations that an action was successful. They appear at the lower edge of the window, at any scroll position,
// and disappear automatically. They include the app's only polite live region, which exists from the start, because
// many screen readers ignore a region that is inserted together with its text.
import { LitElement, css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import { troubleOf } from "./api.js";
import { button } from "./button.js";
import { shared } from "./styles.js";
import { t } from "./words.js";

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
  window.dispatchEvent(new CustomEvent(EVENT, { detail: { content, intent, undo: null } satisfies Toast }));
}

/** Confirm an action that can be undone. `undo` returns the confirmation of that. */
export function confirmUndoable(content: string, undo: () => Promise<string>): void {
  window.dispatchEvent(new CustomEvent(EVENT, { detail: { content, intent: "success", undo } satisfies Toast }));
}

/** Announce to screen readers what sighted users already see on the page. */
export function announce(words: string): void {
  if (words !== "") window.dispatchEvent(new CustomEvent(ANNOUNCE, { detail: words }));
}

interface Toast {
  content: string | unknown[];
  intent: "success" | "warning";
  undo: (() => Promise<string>) | null;
}

const NONE: Toast = { content: "", intent: "success", undo: null };

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
      p fluent-button {
        margin-inline-start: 12px;
      }
      .warning {
        border-color: var(--colorStatusWarningBorderActive, #bc4b09);
      }
    `,
  ];

  @state() private toast = NONE;
  /** Simultaneous announcements are made together. */
  @state() private announced: readonly string[] = [];
  private timer = 0;
  private readonly say = (event: Event) => {
    const words = (event as CustomEvent<string>).detail;
    this.announced = [...this.announced, words];
    window.setTimeout(() => (this.announced = this.announced.slice(1)), ANNOUNCED_MS);
  };
  private readonly take = (event: Event) => {
    this.toast = (event as CustomEvent<Toast>).detail;
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

  /** Confirmations stay while the pointer or the focus is on them. */
  override render() {
    const { content, intent, undo } = this.toast;
    return html`<div
      role="status"
      @pointerenter=${this.stop}
      @pointerleave=${this.start}
      @focusin=${this.stop}
      @focusout=${this.start}
      @keydown=${(event: KeyboardEvent) => event.key === "Escape" && this.close()}
    >
      ${
        content === ""
          ? nothing
          : html`<p id="toast" class=${intent}>
              ${content}
              ${undo === null ? nothing : button({ label: t("app.undo"), small: true, onClick: () => void this.undo(undo) })}
            </p>`
      }
      <div class="visually-hidden">${this.announced.map((words) => html`<div>${words}</div>`)}</div>
    </div>`;
  }

  private async undo(work: () => Promise<string>) {
    this.close();
    try {
      confirmDone(await work());
    } catch (error) {
      const { title, cure } = troubleOf(error);
      confirmDone(`${title} ${cure}`, "warning");
    }
  }

  /** The focus moves to the page if the confirmation had it. */
  private close() {
    const hadFocus = this.shadowRoot?.activeElement !== null;
    this.stop();
    this.toast = NONE;
    if (hadFocus) this.dispatchEvent(new CustomEvent("focus-heading", { bubbles: true, composed: true }));
  }

  private stop() {
    window.clearTimeout(this.timer);
  }

  private start() {
    this.stop();
    this.timer = window.setTimeout(() => (this.toast = NONE), SHOWN_MS);
  }
}
