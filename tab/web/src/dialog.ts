// A question that must be answered before anything else: a heading, what is asked, and two buttons. It stands in the
// page's own tree, so that a field in it belongs to its form and is dressed by the page.
import { LitElement, css, html, nothing, type TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { button } from "./button.js";
import { focusFirst, keepFocus, withFollowing } from "./focus.js";
import { t } from "./words.js";

@customElement("pbx-dialog")
export class Dialog extends LitElement {
  /** Unique in the page; the heading's id is made of it. */
  @property() name = "";
  @property() heading = "";
  @property({ attribute: false }) content: TemplateResult | null = null;
  /** The word on the button that answers yes, at this moment. */
  @property() confirm = "";
  @property({ type: Boolean }) busy = false;
  /** Enter in a field answers yes. */
  @property({ type: Boolean }) enter = false;
  @query("dialog") private dialog!: HTMLDialogElement;
  /** Who gets the focus when it closes: the first of these that is still there. */
  private next: readonly HTMLElement[] = [];

  constructor() {
    super();
    keepFocus(this);
  }

  protected override createRenderRoot() {
    return this;
  }

  override render() {
    return html`<dialog aria-labelledby="${this.name}-title" @close=${this.closed}>
      <form method="dialog" @submit=${this.submit}>
        ${this.enter ? html`<button type="submit" hidden></button>` : nothing}
        <h2 id="${this.name}-title">${this.heading}</h2>
        ${this.content}
        <div class="actions end">
          ${button({ label: this.confirm, primary: true, submit: true, disabled: this.busy })}
          ${button({ label: t("app.cancel"), disabled: this.busy, onClick: () => this.close() })}
        </div>
      </form>
    </dialog>`;
  }

  /** Opens it as its page has just described it; the opener gets the focus back, or what follows it when that is gone. */
  async open(opener: EventTarget | null): Promise<void> {
    const root = this.getRootNode() as ShadowRoot;
    this.next = opener instanceof HTMLElement ? withFollowing(root, opener) : [];
    await this.updateComplete;
    this.dialog.showModal();
  }

  /** `focus`: gets the focus instead of the opener, which is gone. */
  close(focus?: HTMLElement): void {
    if (focus) this.next = [focus];
    this.dialog.close();
  }

  private closed() {
    focusFirst(this.next);
  }

  private submit(event: Event) {
    event.preventDefault();
    if (!this.busy) this.dispatchEvent(new CustomEvent("confirmed"));
  }
}

/** For the page that has the dialog. */
export const dialogStyles = css`
  pbx-dialog {
    display: contents;
  }
  dialog {
    color: inherit;
    background: var(--colorNeutralBackground1);
    border: 1px solid var(--colorTransparentStroke, transparent);
    border-radius: var(--borderRadiusXLarge, 8px);
    box-shadow: var(--shadow64);
    padding: 24px;
    box-sizing: border-box;
    width: min(560px, calc(100vw - 32px));
  }
  dialog::backdrop {
    background: rgba(0, 0, 0, 0.4);
  }
  .end {
    justify-content: flex-end;
    margin-top: 16px;
  }
`;
