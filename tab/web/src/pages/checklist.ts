// What an administrator does first, step by step, until everything is done or the administrator closes the list.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type Setup } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { pageIcon } from "../page-icons.js";
import "../page-words.js";
import { shared } from "../styles.js";
import { t, type Word } from "../words.js";
import { isNoted, note } from "./checklist-notes.js";

interface Step {
  id: string;
  done: boolean;
  action?: unknown;
}

@customElement("pbx-checklist")
export class Checklist extends LitElement {
  static override styles = [
    shared,
    css`
      section {
        margin-bottom: 16px;
      }
      .top {
        display: flex;
        flex-wrap: wrap;
        gap: 8px 16px;
        align-items: start;
        justify-content: space-between;
      }
      ol {
        list-style: none;
        margin: 8px 0 0;
        padding: 0;
      }
      li {
        display: grid;
        grid-template-columns: 24px minmax(0, 1fr);
        gap: 4px 8px;
        padding: 8px 0;
        border-top: 1px solid var(--colorNeutralStroke2);
      }
      .mark {
        color: var(--colorStatusSuccessForeground1, #0e700e);
      }
      .mark.open {
        width: 16px;
        height: 16px;
        margin: 2px;
        box-sizing: border-box;
        border: 2px solid var(--colorNeutralStrokeAccessible);
        border-radius: 50%;
      }
      .step {
        font-weight: 600;
      }
      .done .step {
        font-weight: 400;
      }
      .more {
        grid-column: 2;
      }
      .more p {
        margin: 0 0 8px;
      }
      .more p:last-child {
        margin: 0;
      }
      /* Looks like the buttons beside it; a link, because a mail program opens. */
      a.mail {
        display: inline-block;
        padding: 4px 0;
      }
    `,
  ];

  @property() pbxName = "";
  /** Increased when changes may have been missed. */
  @property({ type: Number }) revision = 0;
  @state() private setup: Setup | null = null;
  @state() private closed = false;
  private readonly task = new BusyController(this);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("pbxName")) this.closed = isNoted("closed", this.pbxName);
    if ((changed.has("revision") || changed.has("pbxName")) && !this.closed) void this.load();
  }

  override render() {
    if (this.closed || this.setup === null) return nothing;
    const steps = this.steps(this.setup);
    const done = steps.filter((step) => step.done).length;
    if (done === steps.length) return nothing;
    return html`<section class="card" aria-labelledby="checklist">
      <div class="top">
        <h2 id="checklist">${t("setup.title")}</h2>
        ${button({ label: t("setup.close"), small: true, onClick: () => this.close() })}
      </div>
      <p class="hint" id="setup-progress">${t("setup.progress", { done, all: steps.length })}</p>
      <ol>
        ${steps.map((step) => this.renderStep(step))}
      </ol>
    </section>`;
  }

  private renderStep({ id, done, action }: Step) {
    return html`<li id="step-${id}" class=${done ? "done" : ""}>
      ${done ? html`<span class="mark">${pageIcon("success")}</span>` : html`<span class="mark open" aria-hidden="true"></span>`}
      <span class="step"
        >${t(`setup.${id}` as Word)}<span class="visually-hidden">
          (${t(done ? "setup.done" : "setup.open")})</span
        ></span
      >
      ${
        done
          ? nothing
          : html`<div class="more">
              <p>${t(`setup.${id}-how` as Word)}</p>
              ${action ?? nothing}
            </div>`
      }
    </li>`;
  }

  private steps(setup: Setup): Step[] {
    return [
      { id: "linked", done: setup.isConnected, action: this.goTo("connection") },
      { id: "key", done: setup.hasLicences, action: this.goTo("licences") },
      { id: "key-file", done: setup.hasOtherUsers || isNoted("key-file", this.pbxName), action: this.renderMail() },
      { id: "user", done: setup.hasOtherUsers },
      ...(setup.mayOffer || setup.isOffered
        ? [{ id: "one-click", done: setup.isOffered, action: this.goTo("security") }]
        : []),
      { id: "chat", done: setup.hasChat },
    ];
  }

  private goTo(page: "connection" | "licences" | "security") {
    return button({
      label: t("setup.show", { page: t(`nav.${page}`) }),
      small: true,
      onClick: () => this.dispatchEvent(new CustomEvent("show-page", { detail: page, bubbles: true, composed: true })),
    });
  }

  private renderMail() {
    const subject = encodeURIComponent(t("setup.mail-subject"));
    const body = encodeURIComponent(t("setup.mail-body", { pbxName: this.pbxName }));
    const address = `mailto:?subject=${subject}&body=${body}`;
    return html`<div class="actions">
      <a class="mail" href=${address}>${t("setup.mail")}</a>
      ${button({ label: t("setup.handed-out"), small: true, onClick: () => this.handedOut() })}
    </div>`;
  }

  private handedOut() {
    note("key-file", this.pbxName);
    this.requestUpdate();
  }

  private close() {
    note("closed", this.pbxName);
    this.closed = true;
    // The button goes with the list.
    this.dispatchEvent(new CustomEvent("focus-heading", { bubbles: true, composed: true }));
  }

  private async load() {
    await this.task.load(api.setup(), (setup) => (this.setup = setup));
    // What is below the list is drawn now, in the same frame as the list.
    this.dispatchEvent(new CustomEvent("checklist-known", { bubbles: true }));
  }
}
