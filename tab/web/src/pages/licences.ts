// The administrator's licence view: pools, trust, who is signed in, and taking a licence back.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import {
  api,
  save,
  troubleOf,
  type Holder,
  type HoldersQuery,
  type Licences,
  type PoolState,
  type SortColumn,
  type Trouble,
} from "../api.js";
import { field, fieldStyles } from "../field.js";
import { placeholder } from "../placeholder.js";
import { dialogStyles, shared } from "../styles.js";
import "./advice.js";
import "./audit.js";
import "./trust.js";
import "./policy.js";
import type { PolicyDialog } from "./policy.js";
import "./usage.js";
import { date, dateTime, number, t } from "../words.js";

const PAGE = 50;
const SEARCH_PAUSE_MS = 250;

@customElement("pbx-licences")
export class LicencesPage extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    dialogStyles,
    css`
      .card {
        margin-bottom: 16px;
      }
      .scroll {
        position: relative;
        overflow-x: auto;
      }
      table {
        border-collapse: collapse;
        width: 100%;
        min-width: 720px;
      }
      th,
      td {
        text-align: start;
        padding: 6px 8px;
        border-bottom: 1px solid var(--colorNeutralStroke2);
      }
      th {
        font-weight: 600;
      }
      .tools {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
        align-items: end;
        margin-bottom: 8px;
      }
      meter {
        width: min(240px, 100%);
      }
      .pages {
        display: flex;
        gap: 12px;
        align-items: center;
        margin-top: 8px;
      }
      th button {
        font: inherit;
        font-weight: 600;
        color: inherit;
        background: none;
        border: 0;
        padding: 4px 0;
        cursor: pointer;
      }
    `,
  ];

  /** Raised by the app whenever the service says that the view has changed. */
  @property({ type: Number }) revision = 0;
  @state() private view: Licences | null = null;
  @state() private trouble: Trouble | null = null;
  @state() private notice = "";
  @state() private query: HoldersQuery = { search: "", sort: "name", descending: false, offset: 0, limit: PAGE };
  /** By session, with the name: a choice outlives the page of the table that it was made on. */
  @state() private selected: ReadonlyMap<string, Holder> = new Map();
  @state() private revoking: readonly Holder[] = [];
  @state() private busy = false;
  @query("dialog") private dialog!: HTMLDialogElement;
  @query("pbx-policy") private policy!: PolicyDialog;
  @query("#reason") private reasonInput!: HTMLInputElement;
  private returnFocus: HTMLElement | null = null;
  private searchPause = 0;

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision")) void this.load();
  }

  override render() {
    return html`
      <h1>${t("licences.title")}</h1>
      ${this.view === null ? nothing : html`<pbx-message .trouble=${this.trouble}></pbx-message>`}
      <pbx-message intent="success" text=${this.notice}></pbx-message>
      ${
        this.view === null
          ? placeholder(this.trouble, () => this.load(), 640)
          : html`${this.renderPools(this.view)} ${this.renderHolders(this.view)}
              <pbx-usage .revision=${this.revision}></pbx-usage>
              <pbx-advice></pbx-advice>
              <pbx-audit></pbx-audit>`
      }
      ${this.renderDialog()}
      <pbx-policy @closed=${() => this.returnFocus?.focus()} @saved=${this.saved}></pbx-policy>
    `;
  }

  private renderPools(view: Licences) {
    return html`<section class="card" aria-labelledby="pools">
      <h2 id="pools">${t("licences.pools")}</h2>
      ${view.pools.length === 0 ? html`<p>${t("licences.no-pools")}</p>` : nothing}
      ${view.pools.map((pool) => {
        const use = t("licences.pool-use", { used: number(pool.seatsUsed), total: number(pool.seatsTotal) });
        // The pool ends before this moment: its last day is the one before.
        const lastDay = new Date(Date.parse(pool.validUntil) - 1);
        return html`<p>
          <meter aria-label=${`${pool.serial}: ${use}`} min="0" max=${pool.seatsTotal} .value=${pool.seatsUsed}></meter>
          <br />${pool.serial}: <span class="use">${use}</span>,
          ${t("licences.valid", { from: date(pool.validFrom), until: date(lastDay) })}<br />
          <span class="hint">
            ${t("licences.pool-rest", {
              free: number(pool.seatsFree),
              reserved: number(pool.seatsReserved),
              kept: number(pool.seatsKept),
            })}
            ${pool.seatsUsed > pool.seatsTotal ? t("licences.pool-surplus") : nothing}
          </span>
          <fluent-button
            role="button"
            size="small"
            aria-label=${t("licences.policy-one", { serial: pool.serial })}
            @click=${(event: Event) => this.decide(pool, event)}
          >
            ${t("licences.policy")}
          </fluent-button>
        </p>`;
      })}
      ${view.waiting > 0 ? html`<p>${t("licences.waiting", { count: number(view.waiting) })}</p>` : nothing}
      <pbx-trust .view=${view} @trust-changed=${this.load}></pbx-trust>
    </section>`;
  }

  private renderHolders(view: Licences) {
    const chosen = [...this.selected.values()];
    const first = this.query.offset + 1;
    const last = this.query.offset + view.holders.length;
    return html`<section class="card" aria-labelledby="holders">
      <h2 id="holders">${t("licences.holders")}</h2>
      <div class="tools">
        ${field({
          id: "search",
          label: t("licences.search"),
          hint: t("licences.search-hint"),
          type: "search",
          onInput: this.onSearch,
        })}
        <span role="status">
          ${view.found === 0 ? nothing : t("licences.count", { first: number(first), last: number(last), found: number(view.found) })}
        </span>
        <fluent-button
          role="button"
          ?disabled=${chosen.length === 0}
          aria-disabled=${chosen.length === 0}
          @click=${(event: Event) => this.ask(chosen, event)}
        >
          ${t("licences.revoke-selected", { count: number(chosen.length) })}
        </fluent-button>
        <fluent-button role="button" @click=${() => this.fetch(() => api.exportHolders())}>
          ${t("licences.export")}
        </fluent-button>
      </div>
      ${
        view.found === 0
          ? html`<p>${this.query.search === "" ? t("licences.none") : t("licences.none-found")}</p>`
          : html`<div class="scroll" tabindex="0" role="group" aria-labelledby="holders">
              <table aria-labelledby="holders">
                <thead>
                  <tr>
                    <th scope="col"><span class="visually-hidden">${t("licences.column.select")}</span></th>
                    ${this.renderColumn("name", t("licences.column.name"))}
                    ${this.renderColumn("login", t("licences.column.login"))}
                    ${this.renderColumn("teams-name", t("licences.column.teams"))}
                    ${this.renderColumn("kind", t("licences.column.kind"))}
                    ${this.renderColumn("since", t("licences.column.since"))}
                    ${this.renderColumn("last-seen", t("licences.column.seen"))}
                    <th scope="col"><span class="visually-hidden">${t("licences.column.action")}</span></th>
                  </tr>
                </thead>
                <tbody>
                  ${repeat(
                    view.holders,
                    (holder) => holder.sessionId,
                    (holder) => this.renderHolder(holder),
                  )}
                </tbody>
              </table>
            </div>`
      }
      ${
        view.found > PAGE || this.query.offset > 0
          ? html`<nav class="pages" aria-label=${t("licences.pages")}>
              ${this.renderTurn(-PAGE, "licences.previous", this.query.offset === 0)}
              ${this.renderTurn(PAGE, "licences.next", last >= view.found)}
            </nav>`
          : nothing
      }
    </section>`;
  }

  private renderTurn(by: number, word: "licences.previous" | "licences.next", disabled: boolean) {
    return html`<fluent-button
      role="button"
      ?disabled=${disabled}
      aria-disabled=${disabled}
      @click=${() => this.show({ offset: Math.max(0, this.query.offset + by) })}
    >
      ${t(word)}
    </fluent-button>`;
  }

  private renderColumn(sort: SortColumn, name: string) {
    const mine = this.query.sort === sort;
    const order = mine ? (this.query.descending ? "descending" : "ascending") : "none";
    const turn = () => this.show({ sort, descending: mine && !this.query.descending, offset: 0 });
    return html`<th scope="col" aria-sort=${order}>
      <button type="button" @click=${turn}>
        ${name}<span aria-hidden="true">${mine ? (this.query.descending ? " ▼" : " ▲") : ""}</span>
      </button>
    </th>`;
  }

  private renderHolder(holder: Holder) {
    return html`<tr>
      <td>
        <input
          type="checkbox"
          aria-label=${t("licences.select-one", { name: holder.displayName })}
          .checked=${this.selected.has(holder.sessionId)}
          @change=${() => this.toggle(holder)}
        />
      </td>
      <th scope="row">${holder.displayName}${holder.isMe ? ` (${t("licences.me")})` : ""}</th>
      <td>${holder.login}</td>
      <td>${holder.teamsName}</td>
      <td>${t(`state.kind.${holder.kind}`)}</td>
      <td>${dateTime(holder.since)}</td>
      <td>${dateTime(holder.lastSeen)}</td>
      <td>
        <fluent-button
          role="button"
          size="small"
          aria-label=${t("licences.revoke-one", { name: holder.displayName })}
          @click=${(event: Event) => this.ask([holder], event)}
        >
          ${t("licences.revoke")}
        </fluent-button>
      </td>
    </tr>`;
  }

  private renderDialog() {
    const names = this.revoking.map((holder) => holder.displayName).join(", ");
    return html`<dialog aria-labelledby="revoke-title" @close=${() => this.returnFocus?.focus()}>
      <form method="dialog" @submit=${this.revoke}>
        <button type="submit" hidden></button>
        <h2 id="revoke-title">${t("licences.revoke-title")}</h2>
        <p>${t("licences.revoke-text", { names })}</p>
        ${field({ id: "reason", label: t("licences.reason"), maxLength: 500 })}
        <div class="actions end">
          <fluent-button
            role="button"
            type="submit"
            appearance="primary"
            ?disabled=${this.busy}
            aria-disabled=${this.busy}
          >
            ${this.busy ? t("licences.revoking") : t("licences.revoke")}
          </fluent-button>
          <fluent-button
            role="button"
            type="button"
            ?disabled=${this.busy}
            aria-disabled=${this.busy}
            @click=${() => this.dialog.close()}
          >
            ${t("licences.cancel")}
          </fluent-button>
        </div>
      </form>
    </dialog>`;
  }

  private show(change: Partial<HoldersQuery>) {
    this.query = { ...this.query, ...change };
    void this.load();
  }

  private async load() {
    const asked = this.query;
    try {
      const view = await api.licences(asked);
      if (asked !== this.query) return;
      if (view.holders.length === 0 && asked.offset > 0) return this.show({ offset: Math.max(0, asked.offset - PAGE) });
      this.view = view;
      this.trouble = null;
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }

  private onSearch(event: Event) {
    const search = (event.target as HTMLInputElement).value.trim();
    window.clearTimeout(this.searchPause);
    this.searchPause = window.setTimeout(() => this.show({ search, offset: 0 }), SEARCH_PAUSE_MS);
  }

  private toggle(holder: Holder) {
    const selected = new Map(this.selected);
    if (!selected.delete(holder.sessionId)) selected.set(holder.sessionId, holder);
    this.selected = selected;
  }

  private async fetch(get: () => Promise<{ fileName: string; content: string }>) {
    this.trouble = null;
    try {
      save(await get());
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }

  private decide(pool: PoolState, event: Event) {
    this.returnFocus = event.target as HTMLElement;
    this.notice = "";
    void this.policy.open(pool);
  }

  private saved() {
    this.notice = t("policy.saved");
    void this.load();
  }

  private async ask(holders: readonly Holder[], event: Event) {
    this.revoking = holders;
    this.notice = "";
    this.returnFocus = event.target as HTMLElement;
    this.reasonInput.value = "";
    await this.updateComplete;
    this.dialog.showModal();
    this.reasonInput.focus();
  }

  private async revoke(event: Event) {
    event.preventDefault();
    if (this.busy) return;
    this.busy = true;
    this.trouble = null;
    try {
      const sessionIds = this.revoking.map((holder) => holder.sessionId);
      const revoked = await api.revoke({ sessionIds, reason: this.reasonInput.value });
      this.notice = t("licences.revoked", { count: number(revoked.sessionIds.length) });
      this.selected = new Map();
    } catch (error) {
      this.trouble = troubleOf(error);
    } finally {
      this.busy = false;
      this.dialog.close();
      const kept = this.trouble;
      await this.load();
      this.trouble ??= kept;
    }
  }
}
