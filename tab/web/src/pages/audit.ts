// The audit of the PBX, in words: filtered by kind, person and days, page by page, and exported as filtered.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, save, type AuditEntry, type AuditFilter, type AuditPage, type FileFormat } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { emptyStyles, renderEmpty } from "../empty.js";
import { choice, field, fieldStyles } from "../field.js";
import { sectionStyles, tableStyles } from "../page-styles.js";
import { person } from "../person.js";
import "../page-words.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { announce } from "../toasts.js";
import { dateTime, day, number, t, type Word } from "../words.js";

const DAYS = 30;
const LIMIT = 50;
const SEARCH_PAUSE_MS = 250;
const GROUPS = ["", "sessions", "refusals", "licences", "trust", "pbx", "exports", "consents"] as const;
const NO_FILTER: AuditFilter = { group: "", search: "", since: "", until: "" };

type Place = NonNullable<AuditPage["older"]>;

@customElement("pbx-audit")
export class Audit extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    tableStyles,
    emptyStyles,
    css`
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
        margin: 12px 0 8px;
      }
      .above p {
        margin: 0;
      }
      table {
        width: 100%;
        table-layout: fixed;
      }
      thead th {
        width: 17%;
      }
      thead th:last-child {
        width: auto;
      }
      th,
      td {
        padding: 8px 12px 8px 0;
        border-bottom: 1px solid var(--colorNeutralStroke2);
        vertical-align: top;
        overflow-wrap: anywhere;
      }
      th {
        font-weight: 600;
      }
      tbody th {
        font-weight: 400;
      }
      td.event {
        font-weight: 600;
      }
      td.detail {
        color: var(--colorNeutralForeground2);
      }
      .pages {
        margin-top: 12px;
      }
      @media (max-width: 720px) {
        table,
        tbody,
        tr,
        tbody th,
        td {
          display: block;
        }
        thead {
          display: none;
        }
        tr {
          padding: 8px 0;
          border-bottom: 1px solid var(--colorNeutralStroke2);
        }
        tbody th,
        td {
          border: 0;
          padding: 2px 0;
        }
        tbody th {
          color: var(--colorNeutralForeground2);
        }
        td[data-column]:not(:empty) {
          display: grid;
          grid-template-columns: minmax(88px, 30%) 1fr;
          gap: 8px;
        }
        td[data-column]:not(:empty)::before {
          content: attr(data-column);
          color: var(--colorNeutralForeground2);
        }
        td:empty {
          display: none;
        }
      }
    `,
  ];

  /** Increased when changes may have been missed. */
  @property({ type: Number }) revision = 0;
  @state() private page: AuditPage | null = null;
  @state() private filter: AuditFilter = { ...NO_FILTER, since: day(1 - DAYS), until: day(0) };
  /** Where the visible page begins, and those before it; empty on the first page. */
  @state() private places: readonly Place[] = [];
  @state() private exporting: FileFormat | null = null;
  @state() private partly = false;
  private readonly task = new BusyController(this);
  private readonly exports = new BusyController(this);
  private searchPause = 0;
  /** Number of the last request. */
  private asked = 0;
  @query("h1") private heading!: HTMLElement;

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision") && this.places.length === 0) void this.load();
  }

  override disconnectedCallback() {
    window.clearTimeout(this.searchPause);
    super.disconnectedCallback();
  }

  override render() {
    return html`<h1 tabindex="-1">${t("audit.title")}</h1>
      <p>${t("audit.text")}</p>
      <section class="card" aria-label=${t("audit.title")}>
        ${this.renderFilters()}
        <pbx-message .trouble=${this.exports.trouble}></pbx-message>
        <pbx-message intent="warning" .text=${this.partly ? t("audit.partly") : ""}></pbx-message>
        ${
          this.page === null
            ? placeholder(this.task.trouble, () => this.load(), 480)
            : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>${this.renderPage(this.page)}`
        }
      </section>`;
  }

  private renderFilters() {
    const { group, search } = this.filter;
    return html`<div class="filters" role="search" aria-label=${t("audit.filters")}>
      ${choice({
        id: "audit-group",
        label: t("audit.group"),
        value: group,
        options: GROUPS.map((value) => ({ value, label: t(`audit.group.${value === "" ? "all" : value}`) })),
        onChange: (value) => this.show({ group: value as AuditFilter["group"] }),
      })}
      ${field({
        id: "audit-search",
        label: t("audit.search"),
        type: "search",
        value: search,
        maxLength: 100,
        onInput: (event) => this.onSearch((event.target as HTMLInputElement).value),
      })}
      ${this.renderDay("since", t("audit.since"))} ${this.renderDay("until", t("audit.until"))}
    </div>`;
  }

  private renderDay(which: "since" | "until", label: string) {
    return field({
      id: `audit-${which}`,
      label,
      type: "date",
      min: "2000-01-01",
      max: day(0),
      value: this.filter[which],
      error: which === "since" && this.isOutOfOrder ? t("audit.out-of-order") : "",
      onInput: (event) => this.show({ [which]: (event.target as HTMLInputElement).value }),
    });
  }

  private renderPage(page: AuditPage) {
    const { entries, older } = page;
    return html`<div class="above">
        <p id="audit-count">${this.countOf(page)}</p>
        <div class="actions">${this.renderExport("xlsx")} ${this.renderExport("csv")}</div>
      </div>
      ${
        entries.length === 0
          ? this.renderNothing()
          : html`<table role="table" aria-describedby="audit-count" aria-label=${t("audit.title")}>
              <thead role="rowgroup">
                <tr role="row">
                  ${(["at", "event", "actor", "subject", "detail"] as const).map(
                    (column) => html`<th scope="col" role="columnheader">${t(`audit.column.${column}`)}</th>`,
                  )}
                </tr>
              </thead>
              <tbody role="rowgroup">
                ${entries.map((entry) => this.renderEntry(entry))}
              </tbody>
            </table>`
      }
      ${
        this.places.length > 0 || older !== null
          ? html`<nav class="pages actions" aria-label=${t("audit.pages")}>
              ${button({
                label: t("audit.newer"),
                disabled: this.places.length === 0,
                onClick: () => this.turn(this.places.slice(0, -1)),
              })}
              ${button({
                label: t("audit.older"),
                disabled: older === null,
                onClick: () => older !== null && this.turn([...this.places, older]),
              })}
            </nav>`
          : nothing
      }`;
  }

  private renderEntry(entry: AuditEntry) {
    const times = entry.times > 1 ? ` ${t("audit.times", { count: entry.times })}` : "";
    return html`<tr role="row">
      <th scope="row" role="rowheader"><time datetime=${entry.at}>${dateTime(entry.at)}</time></th>
      <td role="cell" class="event">${entry.event}${times}</td>
      ${cell("actor", entry.isPerson ? person(entry.actor) : entry.actor)}
      ${cell("subject", entry.subject === "" ? null : person(entry.subject))}
      ${cell("detail", entry.detail === "" ? null : html`<bdi>${entry.detail}</bdi>`)}
    </tr>`;
  }

  private renderNothing() {
    const clear = { label: t("audit.clear"), onClick: () => this.clear() };
    return this.isFiltered ? renderEmpty(t("audit.none-found"), clear) : renderEmpty(t("audit.none"), null);
  }

  private renderExport(format: FileFormat) {
    return button({
      label: t(this.exporting === format && this.exports.busy ? "audit.exporting" : `audit.export.${format}`),
      small: true,
      disabled: this.exports.busy || this.isOutOfOrder,
      onClick: () => this.export(format),
    });
  }

  private get isOutOfOrder(): boolean {
    const { since, until } = this.filter;
    return since !== "" && until !== "" && since > until;
  }

  private get isFiltered(): boolean {
    const { group, search, since, until } = this.filter;
    return group !== "" || search.trim() !== "" || since !== day(1 - DAYS) || until !== day(0);
  }

  private countOf({ found, countedTo, entries }: AuditPage): string {
    const first = this.places.length * LIMIT;
    if (found === 0) return t("audit.count-none");
    const range = { first: number(first + 1), last: number(first + entries.length) };
    if (found >= countedTo) return t("audit.count-more", { ...range, found: number(found) });
    return t("audit.count", { ...range, found: number(found) });
  }

  private onSearch(search: string) {
    window.clearTimeout(this.searchPause);
    this.filter = { ...this.filter, search };
    this.searchPause = window.setTimeout(() => this.show({}), SEARCH_PAUSE_MS);
  }

  private show(change: Partial<AuditFilter>) {
    this.filter = { ...this.filter, ...change };
    this.places = [];
    if (!this.isOutOfOrder) void this.load(true);
  }

  private clear() {
    this.show({ ...NO_FILTER, since: day(1 - DAYS), until: day(0) });
    // The button goes with the empty state.
    this.heading.focus();
  }

  private turn(places: readonly Place[]) {
    this.places = places;
    void this.load(true).then(() => this.heading.scrollIntoView({ block: "start" }));
  }

  /** `says`: tell screen readers how many entries there are now. */
  private async load(says = false) {
    const asked = ++this.asked;
    await this.task.load(api.audit(this.filter, LIMIT, this.places.at(-1)), (page) => {
      // A later answer may arrive before an earlier one.
      if (asked !== this.asked) return;
      this.page = page;
      if (says) announce(this.countOf(page));
    });
  }

  private async export(format: FileFormat) {
    this.partly = false;
    this.exporting = format;
    await this.exports.run(async () => {
      const file = await api.exportAudit(format, this.filter);
      save(file);
      this.partly = !file.complete;
    });
  }
}

function cell(column: "actor" | "subject" | "detail", content: unknown) {
  const name = t(`audit.column.${column}` satisfies Word);
  return html`<td role="cell" class=${column} data-column=${name}>${content ?? nothing}</td>`;
}
