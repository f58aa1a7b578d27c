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
  type SelectedHolder,
  type SortColumn,
} from "../api.js";
import { BusyController } from "../busy.js";
import { parseWhole } from "../numbers.js";
import { Paced } from "../paced.js";
import { button } from "../button.js";
import { focusFirst } from "../focus.js";
import { AddressParameters } from "../address.js";
import { emptyStyles, renderEmpty } from "../empty.js";
import { choice, field, fieldStyles } from "../field.js";
import { sectionStyles, tableStyles, tickStyles } from "../page-styles.js";
import { person } from "../person.js";
import "../page-words.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { announce, confirmDone } from "../toasts.js";
import "./advice.js";
import "./policy.js";
import type { PolicyDialog } from "./policy.js";
import "./revoke.js";
import type { Revoke } from "./revoke.js";
import "./usage.js";
import { fullness, lastDay, validity, type Health } from "./licence-tiles.js";
import "@fluentui/web-components/avatar.js";
import { date, dateTime, t, timeAgo } from "../words.js";

const PAGE = 50;
const SEARCH_PAUSE_MS = 250;
const ROWS_PAUSE_MS = 3_000;
/** The diagrams tell of days; reading them costs more than all else on this page. */
const USAGE_PAUSE_MS = 60_000;
const KINDS = ["FL", "UAL", "ADM"] as const;
const UNSEEN_DAYS = [1, 7, 30] as const;
/** The same limit as in the service. */
const MAX_OFFSET = 10_000_000;
const COLUMNS: readonly SortColumn[] = ["name", "login", "kind", "since", "last-seen", "teams-name"];

@customElement("pbx-licences")
export class LicencesPage extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    tableStyles,
    emptyStyles,
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
      .filters {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 168px), 1fr));
        gap: 12px;
        align-items: start;
        margin-bottom: 12px;
      }
      .above {
        display: flex;
        flex-wrap: wrap;
        gap: 8px 16px;
        align-items: center;
        justify-content: space-between;
        margin-bottom: 8px;
      }
      .above p {
        margin: 0;
      }
      /* It stays in the window while the table is long. */
      .commands {
        position: sticky;
        top: 0;
        z-index: 1;
        display: flex;
        flex-wrap: wrap;
        gap: 8px 12px;
        align-items: center;
        margin-bottom: 8px;
        padding: 8px 12px;
        background: var(--colorNeutralBackground1Selected, var(--colorNeutralBackground1));
        border: 1px solid var(--colorNeutralStroke1);
        border-radius: var(--borderRadiusMedium, 4px);
      }
      .commands span {
        font-weight: 600;
        margin-inline-end: auto;
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
  private readonly selecting = new BusyController(this);
  /** Filters, order and place in the table. */
  private readonly address = new AddressParameters(this, "licences");
  /** The selected people by session id. A selection persists when the filters or the page of the table change. */
  @state() private selected: ReadonlyMap<string, SelectedHolder> = new Map();
  @query("pbx-policy") private policy!: PolicyDialog;
  @query("pbx-revoke") private revocation!: Revoke;
  @query("#holders") private heading!: HTMLElement;
  private searchPause = 0;
  /** The query of the last request. */
  private asked = "";
  private announced = "";
  private readonly rows = new Paced(this, () => void this.load(), ROWS_PAUSE_MS);
  private readonly usage = new Paced(this, () => (this.usageRevision += 1), USAGE_PAUSE_MS);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("news") && this.news !== null && this.view !== null) {
      this.view = { ...this.view, ...this.news };
      this.rows.ask();
    }
    if (changed.has("revision")) {
      if (this.view !== null) this.rows.ask();
      this.usage.ask();
    }
    // Also after a move through the history. The address of another page is none of this one's.
    if (this.address.isVisible && this.asked !== JSON.stringify(this.wanted)) void this.load();
  }

  override disconnectedCallback() {
    window.clearTimeout(this.searchPause);
    super.disconnectedCallback();
  }

  /** What the address asks for. */
  private get wanted(): HoldersQuery {
    const { address } = this;
    const [sort, kind, unseen, from] = [
      address.get("sort"),
      address.get("kind"),
      address.get("unseen"),
      address.get("from"),
    ];
    return {
      search: address.get("search").trim(),
      kind: KINDS.find((one) => one === kind) ?? "",
      unseenDays: UNSEEN_DAYS.find((days) => String(days) === unseen) ?? 0,
      sort: COLUMNS.find((column) => column === sort) ?? "name",
      descending: address.get("order") === "descending",
      offset: parseWhole(from, 0, MAX_OFFSET) ?? 0,
      limit: PAGE,
    };
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
      <pbx-policy @saved=${() => void this.load()}></pbx-policy>
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
    const { offset } = this.wanted;
    const last = offset + view.holders.length;
    return html`<section class="card" aria-labelledby="holders">
      <h2 id="holders">${t("licences.holders")}</h2>
      ${this.renderFilters()}
      <pbx-revoke @revoked=${this.revoked} @closed=${() => focusFirst([this.heading])}></pbx-revoke>
      <div class="above">
        <p>${view.found === 0 ? nothing : this.countOf(view)}</p>
        <span class="exports">
          ${button({ label: t("licences.export-xlsx"), small: true, disabled: this.exporting.busy, onClick: () => this.export("xlsx") })}
          ${button({ label: t("licences.export-csv"), small: true, disabled: this.exporting.busy, onClick: () => this.export("csv") })}
        </span>
      </div>
      <pbx-message .trouble=${this.selecting.trouble}></pbx-message>
      ${this.selected.size > 0 ? this.renderCommands(view) : nothing}
      ${view.found === 0 ? this.renderNobody() : this.renderTable(view)}
      ${
        view.found > PAGE || offset > 0
          ? html`<nav class="pages" aria-label=${t("licences.pages")}>
              ${this.renderTurn(-PAGE, "licences.previous", offset === 0)}
              ${this.renderTurn(PAGE, "licences.next", last >= view.found)}
            </nav>`
          : nothing
      }
    </section>`;
  }

  private renderFilters() {
    const { kind, unseenDays } = this.wanted;
    return html`<div class="filters" role="search" aria-label=${t("licences.filters")}>
      ${field({
        id: "search",
        label: t("licences.search"),
        hint: t("licences.search-hint"),
        type: "search",
        maxLength: 100,
        value: this.address.get("search"),
        onInput: this.onSearch,
      })}
      ${choice({
        id: "filter-kind",
        label: t("licences.filter-kind"),
        value: kind,
        options: ["", ...KINDS].map((value) => ({
          value,
          label: value === "" ? t("licences.filter-all-kinds") : t(`state.kind.${value as Holder["kind"]}`),
        })),
        onChange: (kind) => this.show({ kind }),
      })}
      ${choice({
        id: "filter-unseen",
        label: t("licences.filter-seen"),
        value: unseenDays === 0 ? "" : String(unseenDays),
        options: ["", ...UNSEEN_DAYS].map((days) => ({
          value: String(days),
          label: days === "" ? t("licences.filter-all-times") : t("licences.filter-unseen", { count: days as number }),
        })),
        onChange: (unseen) => this.show({ unseen }),
      })}
    </div>`;
  }

  /** What can be done with the selected people, who may be on other pages of the table. */
  private renderCommands({ found }: Licences) {
    const count = this.selected.size;
    return html`<div class="commands" role="group" aria-label=${t("licences.commands")}>
      <span>${t("licences.selected", { count })}</span>
      ${
        count < found
          ? button({
              label: t("licences.select-found", { count: found }),
              small: true,
              disabled: this.selecting.busy,
              onClick: () => void this.selectFound(),
            })
          : nothing
      }
      ${button({ label: t("licences.deselect"), small: true, onClick: () => this.deselect() })}
      ${button({
        label: t("licences.revoke-selected", { selected: count }),
        small: true,
        primary: true,
        onClick: (event) => void this.revocation.open([...this.selected.values()], event.target),
      })}
    </div>`;
  }

  private renderNobody() {
    const clear = { label: t("licences.clear"), onClick: () => this.clear() };
    return this.isFiltered ? renderEmpty(t("licences.none-found"), clear) : renderEmpty(t("licences.none"), null);
  }

  private renderTable(view: Licences) {
    return html`<div class="scroll" tabindex="0" role="group" aria-labelledby="holders">
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
    </div>`;
  }

  private get isFiltered(): boolean {
    const { search, kind, unseenDays } = this.wanted;
    return search !== "" || kind !== "" || unseenDays !== 0;
  }

  private countOf({ found, holders }: Licences): string {
    if (found === 0) return t(this.isFiltered ? "licences.none-found" : "licences.none");
    const { offset } = this.wanted;
    return t("licences.count", { first: offset + 1, last: offset + holders.length, found });
  }

  private renderTurn(by: number, word: "licences.previous" | "licences.next", disabled: boolean) {
    return button({ label: t(word), disabled, onClick: () => void this.turn(by) });
  }

  private renderColumn(sort: SortColumn, name: string) {
    const { sort: sorted, descending } = this.wanted;
    const mine = sorted === sort;
    const order = mine ? (descending ? "descending" : "ascending") : "none";
    const turn = () => this.show({ sort, order: mine && !descending ? "descending" : "" });
    return html`<th scope="col" role="columnheader" aria-sort=${order}>
      <button type="button" @click=${turn}>
        ${name}<span aria-hidden="true">${mine ? (descending ? " ▼" : " ▲") : ""}</span>
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
          onClick: (event) => void this.revocation.open([holder], event.target),
        })}
      </td>
    </tr>`;
  }

  /** Change filters or order, beginning at the first page of the table. */
  private show(change: Readonly<Record<string, string>>) {
    window.clearTimeout(this.searchPause);
    this.address.set({ from: "", ...change });
  }

  private clear() {
    this.show({ search: "", kind: "", unseen: "" });
    // The button goes with the empty state.
    focusFirst([this.heading]);
  }

  private async turn(by: number) {
    const offset = Math.max(0, this.wanted.offset + by);
    this.address.set({ from: offset === 0 ? "" : String(offset) });
    await this.load();
    this.heading.scrollIntoView({ block: "start" });
  }

  private async load() {
    const { wanted } = this;
    const asked = (this.asked = JSON.stringify(wanted));
    await this.task.load(api.licences(wanted), (view) => {
      if (asked !== this.asked) return;
      const { offset } = wanted;
      if (view.holders.length === 0 && offset > 0) {
        const before = Math.min(offset - PAGE, Math.floor((view.found - 1) / PAGE) * PAGE);
        return this.address.set({ from: before > 0 ? String(before) : "" });
      }
      this.view = view;
      // Announce only results that the user requested, not changes made by others.
      const filters = JSON.stringify([wanted.search, wanted.kind, wanted.unseenDays]);
      if (this.announced !== filters && this.announced !== "") announce(this.countOf(view));
      this.announced = filters;
      this.dispatchEvent(
        new CustomEvent<number>("waiting-count", { detail: view.waiting, bubbles: true, composed: true }),
      );
      this.exporting.trouble = null;
    });
  }

  private onSearch(event: Event) {
    const search = (event.target as HTMLInputElement).value;
    window.clearTimeout(this.searchPause);
    this.searchPause = window.setTimeout(() => this.show({ search }), SEARCH_PAUSE_MS);
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

  /** Select everybody whom the filters let through, on all pages. */
  private async selectFound() {
    await this.selecting.run(async () => {
      const { holders, found } = await api.selectHolders(this.wanted);
      this.selected = new Map([...this.selected, ...holders.map((one) => [one.sessionId, one] as const)]);
      const count = this.selected.size;
      announce(t("licences.selected", { count }));
      if (found > holders.length) confirmDone(t("licences.selected-part", { count: holders.length, found }), "warning");
    });
  }

  private deselect() {
    this.selected = new Map();
    announce(t("licences.selected", { count: 0 }));
    // The button goes with the selection.
    focusFirst([this.heading]);
  }

  private revoked({ detail: isComplete }: CustomEvent<boolean>) {
    if (isComplete) this.selected = new Map();
    void this.load();
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
