// Help, in a drawer at the side of the page: where the key is, common questions, what is new, and the contact.
import { LitElement, css, html, nothing } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { lastFailure } from "../api.js";
import { button } from "../button.js";
import { copyText } from "../clipboard.js";
import { keepFocus } from "../focus.js";
import "../help-words.js";
import { icon } from "../icons.js";
import { shared } from "../styles.js";
import { currentLanguage, dateTime, t } from "../words.js";
import news from "../words/news.json";

declare const VERSION: string;

const QUESTIONS = ["calls", "licence", "connection", "bot"] as const;

@customElement("pbx-help")
export class Help extends LitElement {
  static override styles = [
    shared,
    css`
      dialog {
        box-sizing: border-box;
        width: min(440px, 100vw);
        height: 100dvh;
        max-width: none;
        max-height: none;
        margin: 0 0 0 auto;
        padding: 16px 24px 24px;
        overflow: auto;
        color: inherit;
        background: var(--colorNeutralBackground1);
        border: 0;
        border-inline-start: 1px solid var(--colorNeutralStroke1);
        box-shadow: var(--shadow64);
      }
      dialog::backdrop {
        background: rgba(0, 0, 0, 0.4);
      }
      .top {
        display: flex;
        align-items: center;
        justify-content: space-between;
        margin-bottom: 8px;
      }
      .top h2 {
        font-size: 20px;
        line-height: 28px;
        margin: 0;
      }
      .close {
        width: 32px;
        height: 32px;
        display: grid;
        place-items: center;
        color: inherit;
        background: none;
        border: 0;
        border-radius: var(--borderRadiusMedium, 4px);
        cursor: pointer;
      }
      .close:hover {
        background: var(--colorNeutralBackground1Hover);
      }
      section {
        border-top: 1px solid var(--colorNeutralStroke2);
        padding: 16px 0 4px;
      }
      h3 {
        font-size: 16px;
        line-height: 22px;
        margin: 0 0 8px;
      }
      h4 {
        font-size: 14px;
        line-height: 20px;
        margin: 0 0 4px;
      }
      ul {
        margin: 0 0 12px;
        padding-inline-start: 20px;
      }
      details {
        margin-bottom: 4px;
      }
      details p {
        margin-top: 4px;
      }
      code {
        overflow-wrap: anywhere;
      }
      .reference {
        overflow-wrap: anywhere;
      }
      .links {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 16px;
      }
      .links a {
        display: inline-block;
        padding: 2px 0;
      }
    `,
  ];

  @query("dialog") private dialog!: HTMLDialogElement;
  @state() private copied = "";

  constructor() {
    super();
    keepFocus(this);
  }

  open(): void {
    this.copied = "";
    this.requestUpdate();
    void this.updateComplete.then(() => {
      if (!this.dialog.open) this.dialog.showModal();
    });
  }

  override render() {
    return html`<dialog aria-labelledby="title" @click=${this.closeOutside}>
      <div class="top">
        <h2 id="title">${t("help.title")}</h2>
        <button class="close" aria-label=${t("help.close")} @click=${() => this.dialog.close()}>
          ${icon("close")}
        </button>
      </div>
      <section aria-labelledby="key">
        <h3 id="key">${t("help.key")}</h3>
        <p>${t("help.key-text")}</p>
        <p>${t("help.key-administrator")}</p>
        <p><code>pbx-connector --config FILE key file</code></p>
      </section>
      <section aria-labelledby="questions">
        <h3 id="questions">${t("help.questions")}</h3>
        ${QUESTIONS.map(
          (name) =>
            html`<details>
              <summary>${t(`help.${name}`)}</summary>
              <p>${t(`help.${name}-text`)}</p>
            </details>`,
        )}
      </section>
      <section aria-labelledby="contact">
        <h3 id="contact">${t("help.contact")}</h3>
        <p>${t("help.contact-text")}</p>
        ${this.renderReference()}
      </section>
      <section aria-labelledby="news">
        <h3 id="news">${t("help.news")}</h3>
        ${Object.entries(news).map(
          ([version, items]) =>
            html`<h4>${titleOf(version)}</h4>
              <ul>
                ${items[currentLanguage()].map((item) => html`<li>${item}</li>`)}
              </ul>`,
        )}
      </section>
      <section aria-labelledby="about">
        <h3 id="about">${t("help.about")}</h3>
        <p>${t("app.title")} ${VERSION}</p>
        <p class="links">
          <a href="/tab/privacy.html" target="_blank" rel="noopener">${t("help.privacy")}</a>
          <a href="/tab/terms.html" target="_blank" rel="noopener">${t("help.terms")}</a>
        </p>
      </section>
    </dialog>`;
  }

  private renderReference() {
    const failed = lastFailure();
    if (failed === null) return html`<p class="hint">${t("help.no-reference")}</p>`;
    const values = { id: failed.requestId, code: failed.code, at: dateTime(failed.at) };
    return html`<p class="reference" id="reference">${t("help.reference", values)}</p>
      ${button({ label: t("help.copy"), id: "copy", onClick: () => void this.copy(t("help.reference", values)) })}
      ${this.copied ? html`<p class="hint" role="status">${this.copied}</p>` : nothing}`;
  }

  private async copy(text: string) {
    this.copied = t((await copyText(text)) ? "app.copied" : "app.copy-failed");
  }

  private closeOutside(event: Event) {
    if (event.target === this.dialog) this.dialog.close();
  }
}

/** The heading of a version: "0.2.0 - 2026-11-27" in the changelog. */
function titleOf(version: string): string {
  const [number = "", day] = version.split(" - ");
  if (day === undefined) return t("help.next-version");
  return t("help.version", {
    version: number,
    day: new Date(`${day}T12:00:00Z`).toLocaleDateString(currentLanguage()),
  });
}
