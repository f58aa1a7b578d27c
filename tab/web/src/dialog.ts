// A modal question: a heading, its content, and two buttons. It is part of the page's own tree, so that fields in
// it belong to the page's form and use the page's styles.
import { LitElement, css, html, nothing, type TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { button } from "./button.js";
import { focusFirst, keepFocus, withFollowing } from "./focus.js";
import { t } from "./words.js";

@customElement("pbx-dialog")
export class Dialog extends LitElement {
  /** Unique within the page; the heading's id is derived from it. */
  @property() name = "";
  @property() heading = "";
  @property({ attribute: false }) content: TemplateResult | null = null;
  /** Current label of the button that confirms. */
  @property() confirm = "";
  @property({ type: Boolean }) busy = false;
  /** At the side of the window and as high as it, for long forms. */
  @property({ type: Boolean }) drawer = false;
  /** Whether Enter in a field confirms. */
  @property({ type: Boolean }) enter = false;
  @query("dialog") private dialog!: HTMLDialogElement;
  /** Candidates for the focus after closing: the first one that still exists gets it. */
  private next: readonly HTMLElement[] = [];

  constructor() {
    super();
    keepFocus(this);
  }

  protected override createRenderRoot() {
    return this;
  }

  override render() {
    return html`<dialog
      class=${this.drawer ? "drawer" : nothing}
      aria-labelledby="${this.name}-title"
      @close=${this.closed}
    >
      <form method="dialog" @submit=${this.submit}>
        ${this.enter ? html`<button type="submit" hidden></button>` : nothing}
        <h2 id="${this.name}-title">${this.heading}</h2>
        ${this.drawer ? html`<div class="content">${this.content}</div>` : this.content}
        <div class="actions end">
          ${button({ label: this.confirm, primary: true, submit: true, disabled: this.busy })}
          ${button({ label: t("app.cancel"), disabled: this.busy, onClick: () => this.close() })}
        </div>
      </form>
    </dialog>`;
  }

  /**
   * Open the dialog after pending updates of its page. On closing, the opener gets the focus back, or the element
   * after it if the opener is gone.
   */
  async open(opener: EventTarget | null): Promise<void> {
    // The opener may be on the page that contains the dialog's own.
    this.next = opener instanceof HTMLElement ? withFollowing(opener.getRootNode() as ShadowRoot, opener) : [];
    await this.updateComplete;
    this.dialog.showModal();
  }

  /** Close the dialog. `focus` gets the focus if the opener no longer exists. */
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

/** Styles for the page that contains the dialog. */
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
  dialog.drawer {
    inset: 0 0 0 auto;
    width: min(480px, 100vw);
    height: 100dvh;
    max-height: none;
    margin: 0;
    border-radius: 0;
    padding: 0;
  }
  dialog.drawer:dir(rtl) {
    inset: 0 auto 0 0;
  }
  .drawer form {
    display: flex;
    flex-direction: column;
    height: 100%;
  }
  .drawer h2 {
    padding: 16px 24px 0;
    overflow-wrap: anywhere;
  }
  .drawer .content {
    flex: 1;
    overflow: auto;
    padding: 4px 24px 16px;
  }
  .drawer .end {
    margin: 0;
    padding: 12px 24px;
    border-top: 1px solid var(--colorNeutralStroke2);
  }
  .end {
    justify-content: flex-end;
    margin-top: 16px;
  }
`;
