// The administrator's licence view: pools, trust, signed-in users, and revoking licences.
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
import "./policy.js";
import type { PolicyDialog } from "./policy.js";
import "./usage.js";
import { fullness, lastDay, validity, type Health } from "./licence-tiles.js";
import "@fluentui/web-components/avatar.js";
import { date, dateTime, rich, t, timeAgo } from "../words.js";

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
      .badge,
      .kind {
        display: inline-block;
        padding: 0 8px;
        border: 1px solid var(--edge, var(--colorNeutralStroke1));
        border-radius: 10px;
        font-size: 12px;
        line-height: 18px;
      }
      .kind {
        white-space: nowrap;
      }
      .badge {
        border-width: 2px;
        font-weight: 600;
      }
      .warning {
        --edge: var(--colorStatusWarningBorderActive, #bc4b09);
      }
      .bad {
        --edge: var(--colorStatusDangerBorderActive, #c50f1f);
      }
      time {
        white-space: nowrap;
      }
      .person {
        display: flex;
        gap: 8px;
        align-items: center;
      }
      .person fluent-avatar {
        flex: none;
      }
      /* However long a name is, a row is one line high, and the buttons stay where they are. */
      .one-line {
        display: inline-block;
        max-width: 150px;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
        vertical-align: bottom;
      }
      .who {
        position: sticky;
        inset-inline-start: 0;
        background: var(--colorNeutralBackground1);
      }
      @media (max-width: 600px) {
        table {
          min-width: 0;
        }
        table,
        tbody,
        thead,
        tr {
          display: block;
        }
        thead tr {
          display: flex;
          flex-wrap: wrap;
          gap: 0 16px;
          padding-bottom: 8px;
        }
        thead th {
          border: 0;
          padding: 0;
        }
        tbody tr {
          display: grid;
          grid-template-columns: 32px 1fr;
          border-top: 1px solid var(--colorNeutralStroke2);
          padding: 8px 0;
        }
        tbody th,
        tbody td {
          border: 0;
          grid-column: 2;
          padding: 2px 0;
        }
        tbody td:first-child {
          grid-column: 1;
        }
        .who {
          position: static;
        }
        .one-line {
          max-width: min(200px, 40vw);
        }
        td[data-column] {
          display: grid;
          grid-template-columns: minmax(88px, 40%) 1fr;
          gap: 8px;
          align-items: start;
        }
        td[data-column]::before {
          content: attr(data-column);
          color: var(--colorNeutralForeground2);
        }
        .kind {
          justify-self: start;
          white-space: normal;
        }
      }
      .tick {
        min-width: 28px;
        justify-content: center;
      }
      meter {
        width: min(240px, 100%);
      }
      .pool {
        line-height: 22px;
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
        text-align: start;
      }
    `,
  ];

  /** Increased when changes may have been missed. */
  @property({ type: Number }) revision = 0;
  /** The numbers of the last live update. The visible rows are then outdated. */
  @property({ attribute: false }) news: HoldersChange | null = null;
  @state() private usageRevision = 0;
  @state() private view: Licences | null = null;
  private readonly task = new BusyController(this);
  private readonly exporting = new BusyController(this);
  private readonly revocation = new BusyController(this);
  @state() private query: HoldersQuery = { search: "", sort: "name", descending: false, offset: 0, limit: PAGE };
  /** The selected holders by session id. A selection persists when the page of the table changes. */
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
          : html`<pbx-licence-tiles .view=${this.view}></pbx-licence-tiles>
              ${this.renderPools(this.view)} ${this.renderHolders(this.view)}
              <pbx-usage .revision=${this.usageRevision}></pbx-usage>
              <pbx-advice></pbx-advice>`
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
        const { seatsUsed, seatsTotal } = pool;
        const use = t("licences.pool-use", { used: seatsUsed, total: seatsTotal });
        const valid = validity(pool);
        return html`<p class="pool">
          <meter
            aria-label=${`${pool.serial}: ${use}`}
            min="0"
            max=${seatsTotal}
            low=${0.9 * seatsTotal}
            high=${seatsTotal - 0.5}
            optimum="0"
            .value=${seatsUsed}
          ></meter>
          <br />${pool.serial}: <span class="use">${use}</span> ${badge(fullness(seatsUsed, seatsTotal))}<br />
          ${t("licences.valid", { from: date(pool.validFrom), until: lastDay(pool) })} ${badge(valid)}<br />
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
              <table role="table" aria-labelledby="holders">
                <thead role="rowgroup">
                  <tr role="row">
                    <th scope="col" role="columnheader">
                      <label class="tick"
                        ><input
                          type="checkbox"
                          aria-label=${t("licences.select-all")}
                          .checked=${view.holders.every((holder) => this.selected.has(holder.sessionId))}
                          @change=${this.toggleAll}
                      /></label>
                    </th>
                    ${this.renderColumn("name", t("licences.column.name"))}
                    ${this.renderColumn("login", t("licences.column.login"))}
                    ${this.renderColumn("teams-name", t("licences.column.teams"))}
                    ${this.renderColumn("kind", t("licences.column.kind"))}
                    ${this.renderColumn("since", t("licences.column.since"))}
                    ${this.renderColumn("last-seen", t("licences.column.seen"))}
                    <th scope="col" role="columnheader">
                      <span class="visually-hidden">${t("licences.column.action")}</span>
                    </th>
                  </tr>
                </thead>
                <tbody role="rowgroup">
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
    return html`<th scope="col" role="columnheader" aria-sort=${order}>
      <button type="button" @click=${turn}>
        ${name}<span aria-hidden="true">${mine ? (this.query.descending ? " ▼" : " ▲") : ""}</span>
      </button>
    </th>`;
  }

  private renderHolder(holder: Holder) {
    return html`<tr role="row">
      <td role="cell">
        <label class="tick"
          ><input
            type="checkbox"
            aria-label=${t("licences.select-one", { name: named(holder) })}
            .checked=${this.selected.has(holder.sessionId)}
            @change=${() => this.toggle(holder)}
        /></label>
      </td>
      <th scope="row" role="rowheader" class="who">
        <span class="person" title=${holder.displayName}
          ><fluent-avatar size="28" color="colorful" name=${holder.displayName} aria-hidden="true"></fluent-avatar
          ><span class="one-line"
            >${person(holder.displayName)}${holder.isMe ? ` (${t("licences.me")})` : ""}</span
          ></span
        >
      </th>
      ${cell(t("licences.column.login"), html`<span class="one-line" title=${holder.login}>${holder.login}</span>`)}
      ${cell(
        t("licences.column.teams"),
        html`<span class="one-line" title=${holder.teamsName}>${person(holder.teamsName)}</span>`,
      )}
      ${cell(t("licences.column.kind"), html`<span class="kind">${t(`state.kind.${holder.kind}`)}</span>`)}
      ${cell(t("licences.column.since"), moment(holder.since))}
      ${cell(t("licences.column.seen"), moment(holder.lastSeen))}
      <td role="cell">
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
      // Announce only results that the user requested, not changes made by others.
      if (this.searched !== asked.search) announce(this.countOf(view));
      this.searched = asked.search;
      this.view = view;
      this.dispatchEvent(
        new CustomEvent<number>("waiting-count", { detail: view.waiting, bubbles: true, composed: true }),
      );
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

  /** Select or deselect all holders on this page of the table. */
  private toggleAll(event: Event) {
    const selected = new Map(this.selected);
    for (const holder of this.view?.holders ?? []) {
      if ((event.target as HTMLInputElement).checked) selected.set(holder.sessionId, holder);
      else selected.delete(holder.sessionId);
    }
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

  /** Revoke the selected licences. After a failure the dialog stays open and keeps the typed reason. */
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

function badge({ health, note }: { health: Health; note: string }) {
  return note === "" ? nothing : html`<span class="badge ${health}">${note}</span>`;
}

/** Render a cell with the name of its column, because on phones each row becomes a card. */
function cell(column: string, content: unknown) {
  return html`<td role="cell" data-column=${column}>${content}</td>`;
}

function moment(at: string) {
  return html`<time datetime=${at} title=${dateTime(at)}>${timeAgo(at)}</time>`;
}

/** Return name and login, because two people may have the same name but never the same login. */
function named(holder: Holder): string {
  return `${holder.displayName} (${holder.login})`;
}
