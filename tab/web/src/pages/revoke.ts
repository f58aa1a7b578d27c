// Revoking licences: one question for everybody who was selected, and afterwards what happened to each of them.
import { LitElement, css, html, nothing } from "lit";
import { customElement, query, state } from "lit/decorators.js";
import { api, ProblemError, type SelectedHolder } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { field, fieldStyles } from "../field.js";
import { person } from "../person.js";
import { shared } from "../styles.js";
import { confirmDone } from "../toasts.js";
import { rich, t } from "../words.js";

/** One request takes this many; the service accepts twice as many. */
const BATCH = 500;
/** Longer lists of names are cut, and say how many more there are. */
const NAMED = 200;

interface Result {
  ended: readonly SelectedHolder[];
  /** They were not signed in any more. */
  gone: readonly SelectedHolder[];
}

@customElement("pbx-revoke")
export class Revoke extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    dialogStyles,
    css`
      .people {
        max-height: 200px;
        overflow: auto;
        overflow-wrap: anywhere;
      }
      .result {
        border: 1px solid var(--colorNeutralStroke1);
        border-inline-start: 4px solid var(--colorStatusSuccessBorderActive, #107c10);
        border-radius: var(--borderRadiusMedium, 4px);
        padding: 8px 12px;
        margin-bottom: 12px;
      }
      .result p {
        margin: 0 0 4px;
      }
      .result p:focus {
        outline: none;
      }
    `,
  ];

  @state() private people: readonly SelectedHolder[] = [];
  /** What the requests so far have done; a failure in the middle keeps it. */
  @state() private result: Result = { ended: [], gone: [] };
  @state() private shown: Result | null = null;
  @state() private isOpen = false;
  private readonly task = new BusyController(this);
  @query("pbx-dialog") private dialog!: Dialog;
  @query("#reason") private reason!: HTMLInputElement;
  @query(".result p") private summary!: HTMLElement | null;

  /** Ask whether to revoke. `revoked` is dispatched when something may have changed. */
  async open(people: readonly SelectedHolder[], opener: EventTarget | null) {
    // A person who has revoked their own session may not revoke anything after it.
    this.people = [...people].sort((one, other) => Number(one.isMe) - Number(other.isMe));
    this.result = { ended: [], gone: [] };
    this.shown = null;
    this.task.trouble = null;
    await this.updateComplete;
    await this.dialog.open(opener);
    this.reason.value = "";
    this.reason.focus();
  }

  override render() {
    return html`${this.shown === null ? nothing : this.renderResult(this.shown)}${this.renderQuestion()}`;
  }

  private renderQuestion() {
    const { people, result } = this;
    const [first] = people;
    const all = people.length + result.ended.length + result.gone.length;
    const done = all - people.length;
    const owners = people.filter((one) => one.kind === "UAL").length;
    const content = html`${
        people.length === 1 && first
          ? html`<p>${rich("licences.revoke-ask", { count: 1, name: nameOf(first) })}</p>`
          : html`<p>${t("licences.revoke-ask", { count: people.length })}</p>
              ${list(people)}`
      }
      ${owners > 0 ? html`<p>${t("licences.revoke-owners", { count: owners })}</p>` : nothing}
      ${people.some((one) => one.isMe) ? html`<p><strong>${t("licences.revoke-me")}</strong></p>` : nothing}
      ${done > 0 ? html`<p id="done-so-far">${t("licences.revoke-progress", { done, all })}</p>` : nothing}
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${field({ id: "reason", label: t("licences.reason"), maxLength: 500 })}`;
    return html`<pbx-dialog
      name="revoke"
      enter
      .heading=${t("licences.revoke-title", { count: people.length })}
      .content=${content}
      .confirm=${t(this.task.busy ? "licences.revoking" : "licences.revoke")}
      ?busy=${this.task.busy}
      @confirmed=${this.revoke}
    ></pbx-dialog>`;
  }

  private renderResult({ ended, gone }: Result) {
    return html`<div class="result" role="group" aria-label=${t("licences.result")}>
      <p tabindex="-1">${t("licences.revoked", { count: ended.length })}</p>
      ${gone.length > 0 ? html`<p>${t("licences.revoked-gone", { count: gone.length })}</p>` : nothing}
      <details @toggle=${(event: Event) => (this.isOpen = (event.target as HTMLDetailsElement).open)}>
        <summary>${t("licences.result-each")}</summary>
        ${
          this.isOpen
            ? html`${
                gone.length > 0
                  ? html`<p>${t("licences.result-gone")}</p>
                      ${list(gone)}`
                  : nothing
              }
              ${
                ended.length > 0
                  ? html`<p>${t("licences.result-ended")}</p>
                      ${list(ended)}`
                  : nothing
              }`
            : nothing
        }
      </details>
      ${button({ label: t("licences.result-close"), small: true, onClick: () => this.close() })}
    </div>`;
  }

  private close() {
    this.shown = null;
    this.isOpen = false;
    this.dispatchEvent(new CustomEvent("closed"));
  }

  /** Revoke in batches. After a failure the dialog stays open with those who are left, and keeps the reason. */
  private async revoke() {
    const outcome = await this.task.run(async () => {
      while (this.people.length > 0) {
        const batch = this.people.slice(0, BATCH);
        const ended = await endedOf(batch, this.reason.value);
        this.result = {
          ended: [...this.result.ended, ...batch.filter((one) => ended.has(one.sessionId))],
          gone: [...this.result.gone, ...batch.filter((one) => !ended.has(one.sessionId))],
        };
        this.people = this.people.slice(BATCH);
      }
    });
    if (outcome === "ignored") return;
    const { ended, gone } = this.result;
    if (outcome === "done") await this.showOutcome(ended, gone);
    this.dispatchEvent(new CustomEvent("revoked", { detail: outcome === "done" }));
  }

  /** One person gets a short confirmation; of several, it says what happened to each. */
  private async showOutcome(ended: readonly SelectedHolder[], gone: readonly SelectedHolder[]) {
    const [only] = ended;
    if (ended.length + gone.length === 1) {
      this.dialog.close();
      if (only) confirmDone(rich("licences.revoked-one", { name: nameOf(only) }));
      else confirmDone(t("licences.revoked-gone", { count: 1 }), "warning");
      return;
    }
    this.shown = { ended, gone };
    await this.updateComplete;
    this.dialog.close(this.summary ?? undefined);
    confirmDone(t("licences.revoked", { count: ended.length }), gone.length > 0 ? "warning" : "success");
  }
}

/** Return the sessions that the service has ended; none if all of them had ended before. */
async function endedOf(batch: readonly SelectedHolder[], reason: string): Promise<ReadonlySet<string>> {
  try {
    const sessionIds = batch.map((one) => one.sessionId);
    return new Set((await api.revoke({ sessionIds, reason })).sessionIds);
  } catch (error) {
    if (error instanceof ProblemError && error.trouble.code === "session-gone") return new Set();
    throw error;
  }
}

/** Name and login, because two people may have the same name but never the same login. */
function nameOf({ displayName, login }: SelectedHolder) {
  return html`${person(displayName)} (${login})`;
}

function list(people: readonly SelectedHolder[]) {
  return html`<ul class="people" tabindex="0" role="list">
    ${people.slice(0, NAMED).map((one) => html`<li>${nameOf(one)}</li>`)}
    ${people.length > NAMED ? html`<li>${t("licences.and-more", { count: people.length - NAMED })}</li>` : nothing}
  </ul>`;
}
