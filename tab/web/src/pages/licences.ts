// The administrator's licence view: pools, trust, who is signed in, and taking a licence back.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import {
  type FileFormat,
  api,
  save,
  type Holder,
  type HoldersChange,
  type HoldersQuery,
  type Licences,
  type PoolState,
  type SortColumn,
} from "../api.js";
import { BusyController } from "../busy.js";
import { Paced } from "../paced.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { field, fieldStyles } from "../field.js";
import { sectionStyles, tableStyles, tickStyles } from "../page-styles.js";
import { person } from "../person.js";
import "../page-words.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { announce, confirmDone } from "../toasts.js";
import "./advice.js";
import "./audit.js";
import "./trust.js";
import "./trusted-tenants.js";
import "./policy.js";
import type { PolicyDialog } from "./policy.js";
import "./usage.js";
import { date, dateTime, rich, t } from "../words.js";

const PAGE = 50;
const SEARCH_PAUSE_MS = 250;
const ROWS_PAUSE_MS = 3_000;
/** The diagrams tell of days; reading them costs more than all else on this page. */
const USAGE_PAUSE_MS = 60_000;

@customElement("pbx-licences")
export class LicencesPage extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    dialogStyles,
    sectionStyles,
    tableStyles,
    tickStyles,
    css`
      .scroll {
        position: relative;
      }
      table {
        width: 100%;
        min-width: 720px;
      }
      th,
      td {
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
      .people {
        max-height: 200px;
        overflow: auto;
        overflow-wrap: anywhere;
      }
      .tick {
        min-width: 28px;
        justify-content: center;
      }
      meter {
        width: min(240px, 100%);
      }
      .exports {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
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

  /** Raised when something may have changed unseen. */
  @property({ type: Number }) revision = 0;
  /** The numbers, as the service has told them by itself; then the rows on this page of the table are old. */
  @property({ attribute: false }) news: HoldersChange | null = null;
  @state() private usageRevision = 0;
  @state() private view: Licences | null = null;
  private readonly task = new BusyController(this);
  private readonly exporting = new BusyController(this);
  private readonly revocation = new BusyController(this);
  @state() private query: HoldersQuery = { search: "", sort: "name", descending: false, offset: 0, limit: PAGE };
  /** By session, with the name: a choice outlives the page of the table that it was made on. */
  @state() private selected: ReadonlyMap<string, Holder> = new Map();
  @state() private revoking: readonly Holder[] = [];
  @query("pbx-dialog") private dialog!: Dialog;
  @query("pbx-policy") private policy!: PolicyDialog;
  @query("#reason") private reasonInput!: HTMLInputElement;
  private searchPause = 0;
  private searched = "";
  private readonly rows = new Paced(this, () => void this.load(), ROWS_PAUSE_MS);
  private readonly usage = new Paced(this, () => (this.usageRevision += 1), USAGE_PAUSE_MS);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("news") && this.news !== null && this.view !== null) {
      this.view = { ...this.view, ...this.news };
      this.rows.ask();
    }
    if (changed.has("revision")) {
      if (this.view === null) void this.load();
      else this.rows.ask();
      this.usage.ask();
    }
  }

  override render() {
    return html`
      <h1>${t("licences.title")}</h1>
      ${this.view === null ? nothing : html`<pbx-message .trouble=${this.task.trouble ?? this.exporting.trouble}></pbx-message>`}
      ${
        this.view === null
          ? placeholder(this.task.trouble, () => this.load(), 640)
          : html`${this.renderPools(this.view)} ${this.renderHolders(this.view)}
              <pbx-trust .view=${this.view} @trust-changed=${this.load}></pbx-trust>
              <pbx-trusted-tenants .view=${this.view} @trust-changed=${this.load}></pbx-trusted-tenants>
              <pbx-usage .revision=${this.usageRevision}></pbx-usage>
              <pbx-advice></pbx-advice>
              <pbx-audit></pbx-audit>`
      }
      ${this.renderDialog()}
      <pbx-policy @saved=${this.saved}></pbx-policy>
    `;
  }

  private renderPools(view: Licences) {
    return html`<section class="card" aria-labelledby="pools">
      <h2 id="pools">${t("licences.pools")}</h2>
      ${view.pools.length === 0 ? html`<p>${t("licences.no-pools")}</p>` : nothing}
      ${view.pools.map((pool) => {
        const use = t("licences.pool-use", { used: pool.seatsUsed, total: pool.seatsTotal });
        // The pool ends before this moment: its last day is the one before.
        const lastDay = new Date(Date.parse(pool.validUntil) - 1);
        return html`<p>
          <meter aria-label=${`${pool.serial}: ${use}`} min="0" max=${pool.seatsTotal} .value=${pool.seatsUsed}></meter>
          <br />${pool.serial}: <span class="use">${use}</span>,
          ${t("licences.valid", { from: date(pool.validFrom), until: date(lastDay) })}<br />
          <span class="hint">
            ${t("licences.pool-rest", {
              free: pool.seatsFree,
              reserved: pool.seatsReserved,
              kept: pool.seatsKept,
            })}
            ${pool.seatsUsed > pool.seatsTotal ? t("licences.pool-surplus") : nothing}
          </span>
          ${button({
            label: t("licences.policy"),
            small: true,
            ariaLabel: t("licences.policy-one", { serial: pool.serial }),
            onClick: (event) => this.decide(pool, event.target),
          })}
        </p>`;
      })}
      ${view.waiting > 0 ? html`<p>${t("licences.waiting", { count: view.waiting })}</p>` : nothing}
    </section>`;
  }

  private renderHolders(view: Licences) {
    const chosen = [...this.selected.values()];
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
        <span> ${view.found === 0 ? nothing : this.countOf(view)} </span>
        ${button({
          label: t("licences.revoke-selected", { selected: chosen.length }),
          disabled: chosen.length === 0,
          onClick: (event) => void this.ask(chosen, event.target),
        })}
        <span class="exports">
          ${button({ label: t("licences.export-xlsx"), disabled: this.exporting.busy, onClick: () => this.export("xlsx") })}
          ${button({ label: t("licences.export-csv"), disabled: this.exporting.busy, onClick: () => this.export("csv") })}
        </span>
      </div>
      ${
        view.found === 0
          ? html`<p>${this.countOf(view)}</p>`
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

  private countOf({ found, holders }: Licences): string {
    if (found === 0) return this.query.search === "" ? t("licences.none") : t("licences.none-found");
    const { offset } = this.query;
    return t("licences.count", { first: offset + 1, last: offset + holders.length, found });
  }

  private renderTurn(by: number, word: "licences.previous" | "licences.next", disabled: boolean) {
    const turn = () => this.show({ offset: Math.max(0, this.query.offset + by) });
    return button({ label: t(word), disabled, onClick: turn });
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
        <label class="tick"
          ><input
            type="checkbox"
            aria-label=${t("licences.select-one", { name: named(holder) })}
            .checked=${this.selected.has(holder.sessionId)}
            @change=${() => this.toggle(holder)}
        /></label>
      </td>
      <th scope="row">${person(holder.displayName)}${holder.isMe ? ` (${t("licences.me")})` : ""}</th>
      <td>${holder.login}</td>
      <td>${person(holder.teamsName)}</td>
      <td>${t(`state.kind.${holder.kind}`)}</td>
      <td>${dateTime(holder.since)}</td>
      <td>${dateTime(holder.lastSeen)}</td>
      <td>
        ${button({
          label: t("licences.revoke"),
          small: true,
          ariaLabel: t("licences.revoke-one", { name: named(holder) }),
          onClick: (event) => void this.ask([holder], event.target),
        })}
      </td>
    </tr>`;
  }

  private renderDialog() {
    const { revoking } = this;
    const [first] = revoking;
    const named = (holder: Holder) => html`${person(holder.displayName)} (${holder.login})`;
    const content = html`${
        revoking.length === 1 && first
          ? html`<p>${rich("licences.revoke-ask", { count: 1, name: named(first) })}</p>`
          : html`<p>${t("licences.revoke-ask", { count: revoking.length })}</p>
              <ul class="people">
                ${revoking.map((holder) => html`<li>${named(holder)}</li>`)}
              </ul>`
      }
      ${revoking.some((holder) => holder.isMe) ? html`<p><strong>${t("licences.revoke-me")}</strong></p>` : nothing}
      <pbx-message .trouble=${this.revocation.trouble}></pbx-message>
      ${field({ id: "reason", label: t("licences.reason"), maxLength: 500 })}`;
    return html`<pbx-dialog
      name="revoke"
      enter
      .heading=${t("licences.revoke-title", { count: revoking.length })}
      .content=${content}
      .confirm=${t(this.revocation.busy ? "licences.revoking" : "licences.revoke")}
      ?busy=${this.revocation.busy}
      @confirmed=${this.revoke}
    ></pbx-dialog>`;
  }

  private show(change: Partial<HoldersQuery>) {
    this.query = { ...this.query, ...change };
    void this.load();
  }

  private async load() {
    const asked = this.query;
    await this.task.load(api.licences(asked), (view) => {
      if (asked !== this.query) return;
      if (view.holders.length === 0 && asked.offset > 0) return this.show({ offset: Math.max(0, asked.offset - PAGE) });
      // What one has asked for is said; not what others do meanwhile.
      if (this.searched !== asked.search) announce(this.countOf(view));
      this.searched = asked.search;
      this.view = view;
      this.exporting.trouble = null;
    });
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

  private async export(format: FileFormat) {
    this.task.trouble = null;
    await this.exporting.run(async () => save(await api.exportHolders(format)));
  }

  private decide(pool: PoolState, opener: EventTarget | null) {
    void this.policy.open(pool, opener);
  }

  private saved() {
    confirmDone(t("policy.saved"));
    void this.load();
  }

  private async ask(holders: readonly Holder[], opener: EventTarget | null) {
    this.revoking = holders;
    this.revocation.trouble = null;
    await this.updateComplete;
    await this.dialog.open(opener);
    this.reasonInput.value = "";
    this.reasonInput.focus();
  }

  /** After a failure the dialog stays as it is, with the reason that was typed. */
  private async revoke() {
    const { revoking } = this;
    const outcome = await this.revocation.run(async () => {
      const sessionIds = revoking.map((holder) => holder.sessionId);
      const { sessionIds: ended } = await api.revoke({ sessionIds, reason: this.reasonInput.value });
      const [only] = revoking.filter((holder) => ended.includes(holder.sessionId));
      confirmDone(
        ended.length === 1 && only
          ? rich("licences.revoked-one", { name: html`${person(only.displayName)} (${only.login})` })
          : t("licences.revoked", { count: ended.length }),
      );
      this.selected = new Map();
    });
    if (outcome === "ignored") return;
    if (outcome === "done") this.dialog.close();
    await this.load();
  }
}

/** Two people may have one name; nobody shares a login. */
function named(holder: Holder): string {
  return `${holder.displayName} (${holder.login})`;
}
