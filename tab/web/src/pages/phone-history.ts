// The user's call list at the PBX, loaded page by page while scrolling.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, type HistoryEntry, type HistoryFilter } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { choice, fieldStyles } from "../field.js";
import { listStyles, sectionStyles } from "../page-styles.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { dateTime, t } from "../words.js";
import { duration } from "./phone-calls.js";
import { callThem, numberBelow, whom } from "./phone-shared.js";

const FILTERS = ["all", "missed", "in", "out"] as const;

@customElement("pbx-phone-history")
export class PhoneHistory extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    listStyles,
    css`
      .missed {
        color: var(--colorPaletteRedForeground1, #bc2f32);
      }
      .more {
        min-height: 1px;
      }
      .filter {
        max-width: 240px;
        margin-bottom: 12px;
      }
    `,
  ];

  @property({ type: Boolean }) dials = false;
  /** Changes when calls have ended or changes may have been missed. */
  @property() revision = "";
  @state() private filter: HistoryFilter = "all";
  /** Null until loaded. */
  @state() private entries: HistoryEntry[] | null = null;
  @state() private hasMore = false;
  @state() private loading = false;
  private asked = 0;
  private readonly task = new BusyController(this);
  @query(".more") private end!: HTMLElement | null;
  private readonly watcher = new IntersectionObserver((seen) => {
    if (seen.some((one) => one.isIntersecting)) void this.more();
  });

  override disconnectedCallback() {
    this.watcher.disconnect();
    super.disconnectedCallback();
  }

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision")) void this.load();
  }

  override updated() {
    this.watcher.disconnect();
    if (this.end !== null) this.watcher.observe(this.end);
  }

  override render() {
    return html`<section class="card" aria-labelledby="history">
      <h2 id="history">${t("phone.history")}</h2>
      <div class="filter">
        ${choice({
          id: "filter",
          label: t("phone.filter"),
          value: this.filter,
          options: FILTERS.map((filter) => ({ value: filter, label: t(`phone.filter.${filter}`) })),
          onChange: (value) => void this.choose(value as HistoryFilter),
        })}
      </div>
      ${
        this.entries === null
          ? placeholder(this.task.trouble, () => this.load(), 240)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>${this.renderEntries(this.entries)}`
      }
    </section>`;
  }

  private renderEntries(entries: HistoryEntry[]) {
    if (entries.length === 0) return html`<p>${t(`phone.history-none.${this.filter}`)}</p>`;
    return html`<ul aria-labelledby="history">
        ${entries.map((entry) => this.renderEntry(entry))}
      </ul>
      ${
        this.hasMore
          ? html`<div class="more actions">
              ${button({
                label: t(this.loading ? "app.loading" : "phone.history-more"),
                small: true,
                disabled: this.loading,
                onClick: () => void this.more(),
              })}
            </div>`
          : nothing
      }`;
  }

  private renderEntry(entry: HistoryEntry) {
    const kind = entry.isAnswered ? entry.direction : entry.direction === "out" ? "not-reached" : "missed";
    const who = entry.name || entry.number || t("call.unknown");
    return html`<li>
      <span class="name">
        ${whom(entry)} ${numberBelow(entry)}
        <span class="below"
          ><span class=${kind === "missed" ? "missed" : ""}>${t(`phone.entry.${kind}`)}</span> ·
          ${dateTime(entry.beganAt)}${
            entry.isAnswered ? html` · ${duration(entry.seconds)}` : nothing
          }${entry.group ? html` · <bdi>${entry.group}</bdi>` : nothing}</span
        >
      </span>
      ${
        this.dials && entry.number !== ""
          ? button({
              label: t(entry.direction === "out" ? "phone.dial-again" : "phone.call-back"),
              small: true,
              ariaLabel: `${t(entry.direction === "out" ? "phone.dial-again" : "phone.call-back")}: ${who}`,
              onClick: () => callThem(this, entry),
            })
          : nothing
      }
    </li>`;
  }

  private async choose(filter: HistoryFilter) {
    this.filter = filter;
    this.entries = null;
    await this.load();
  }

  /** Load the newest page. Older entries stay loaded as long as the newest page overlaps them. */
  private async load() {
    const asked = (this.asked += 1);
    const { filter } = this;
    await this.task.load(api.callList({ filter, before: undefined, offset: 0 }), (page) => {
      if (asked !== this.asked) return;
      const before = this.entries ?? [];
      const joins = before.findIndex((entry) => entry.entryId === page.entries.at(-1)?.entryId);
      const rest = joins >= 0 ? before.slice(joins + 1) : [];
      this.entries = [...page.entries, ...rest];
      if (rest.length === 0) this.hasMore = page.hasMore;
    });
  }

  /**
   * Load the next page. The offset counts from the newest visible entry, so that a new call shifts nothing. The
   * PBX's list has a resolution of seconds.
   */
  private async more() {
    const { filter, entries } = this;
    const newest = entries?.[0];
    if (this.loading || !this.hasMore || entries === null || newest === undefined) return;
    this.loading = true;
    const asked = this.asked;
    const before = new Date(Date.parse(newest.beganAt) + 1000).toISOString();
    try {
      await this.task.load(api.callList({ filter, before, offset: entries.length }), (page) => {
        if (asked !== this.asked) return;
        const known = new Set(entries.map((entry) => entry.entryId));
        this.entries = [...entries, ...page.entries.filter((entry) => !known.has(entry.entryId))];
        this.hasMore = page.hasMore && page.entries.length > 0;
      });
    } finally {
      this.loading = false;
    }
  }
}
