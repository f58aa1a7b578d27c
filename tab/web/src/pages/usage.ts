// Use of the seats over time: a chart, and a table with the same content for keyboards and screen readers.
import { LitElement, css, html, nothing, svg } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type Usage } from "../api.js";
import { BusyController } from "../busy.js";
import { sectionStyles, tableStyles, tickStyles } from "../page-styles.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { dateTime, dayAndMonth, number, t, time } from "../words.js";

const SPANS = ["day", "week", "month"] as const;
type Span = (typeof SPANS)[number];
const WIDTH = 600;
const HEIGHT = 160;
/** Height of the mark above a bar during which sign-ins were refused. */
const DENIED = 8;
/** How many bars there are from one time on the x axis to the next. */
const EVERY: Record<Span, number> = { day: 6, week: 8, month: 7 };

type Bucket = Usage["buckets"][number];

interface Scale {
  top: number;
  ticks: readonly number[];
}

/** Return the y axis: whole numbers from 0 up to at least `most`, in at most five round steps. */
function scaleOf(most: number): Scale {
  const magnitude = 10 ** Math.floor(Math.log10(most / 5) + 1e-9);
  const step = Math.max(
    1,
    ...[1, 2, 5, 10]
      .map((one) => one * magnitude)
      .filter((one) => most / one <= 5)
      .slice(0, 1),
  );
  const count = Math.ceil(most / step);
  return { top: count * step, ticks: Array.from({ length: count + 1 }, (_, index) => index * step) };
}

/** Return the parts of the average line, index and value: there is no line through times in which nobody was there. */
function busySpans(buckets: readonly Bucket[]): [number, number][][] {
  const spans: [number, number][][] = [];
  let busy = false;
  for (const [index, { peak, average }] of buckets.entries()) {
    if (peak > 0 && !busy) spans.push([]);
    busy = peak > 0;
    if (busy) spans.at(-1)?.push([index, average]);
  }
  return spans;
}

function tickOf(start: string, span: Span): string {
  return span === "day" ? time(start) : dayAndMonth(start);
}

/** Return what the tooltip says, for screen readers. */
function textOf(bucket: Bucket | undefined): string {
  if (bucket === undefined) return "";
  const values = [
    `${t("usage.peak")}: ${number(bucket.peak)}`,
    `${t("usage.average")}: ${number(bucket.average)}`,
    ...(bucket.denials > 0 ? [`${t("usage.denials")}: ${number(bucket.denials)}`] : []),
  ];
  return `${dateTime(bucket.start)}, ${values.join(", ")}`;
}

@customElement("pbx-usage")
export class UsageChart extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    tableStyles,
    tickStyles,
    css`
      /* The numbers of the y axis, the plot; below it the times of the x axis. */
      .chart {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 4px 8px;
        font-size: 12px;
        line-height: 16px;
        color: var(--colorNeutralForeground2);
      }
      .y,
      .x,
      .plot {
        position: relative;
      }
      .y {
        min-width: 20px;
        text-align: end;
      }
      .y span,
      .x span {
        position: absolute;
        white-space: nowrap;
      }
      .y span {
        inset-inline-end: 0;
        transform: translateY(-50%);
      }
      .x {
        grid-column: 2;
        height: 16px;
      }
      .x span {
        transform: translateX(-50%);
      }
      .x span:first-child {
        transform: none;
      }
      .plot {
        height: 160px;
        cursor: crosshair;
      }
      svg {
        width: 100%;
        height: 100%;
        display: block;
      }
      .grid {
        stroke: var(--colorNeutralStroke2);
        vector-effect: non-scaling-stroke;
      }
      .capacity {
        position: absolute;
        inset-inline-end: 0;
        padding: 0 4px;
        background: var(--colorNeutralBackground1);
        transform: translateY(-50%);
      }
      .here {
        position: absolute;
        inset-block: 0;
        box-sizing: border-box;
        border: 2px solid var(--colorNeutralForeground1);
        pointer-events: none;
      }
      .tip {
        position: absolute;
        z-index: 1;
        inset-block-start: 8px;
        width: max-content;
        max-width: min(220px, 60%);
        padding: 6px 10px;
        color: var(--colorNeutralForeground1);
        background: var(--colorNeutralBackground1);
        border: 1px solid var(--colorNeutralStrokeAccessible);
        border-radius: var(--borderRadiusMedium, 4px);
        pointer-events: none;
      }
      .tip strong,
      .tip span {
        display: block;
      }
      .peak {
        fill: var(--colorCompoundBrandBackground);
      }
      .average {
        fill: none;
        stroke: var(--colorNeutralForeground1);
        stroke-width: 2;
        vector-effect: non-scaling-stroke;
      }
      /* So that the line stands out from the bars behind it. */
      .halo {
        fill: none;
        stroke: var(--colorNeutralBackground1);
        stroke-width: 6;
        vector-effect: non-scaling-stroke;
      }
      .seats {
        stroke: var(--colorNeutralForeground2);
        stroke-dasharray: 4 4;
        vector-effect: non-scaling-stroke;
      }
      .denied {
        fill: var(--colorPaletteRedForeground1, #b10e1c);
      }
      .legend {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 16px;
        margin: 8px 0;
      }
      .legend span::before {
        content: "";
        display: inline-block;
        width: 12px;
        height: 12px;
        margin-inline-end: 6px;
        vertical-align: -1px;
        background: var(--colorCompoundBrandBackground);
      }
      .legend .a::before {
        height: 2px;
        vertical-align: 4px;
        background: var(--colorNeutralForeground1);
      }
      .legend .d::before {
        background: var(--colorPaletteRedForeground1, #b10e1c);
      }
      .legend .s::before {
        width: 24px;
        height: 0;
        vertical-align: 4px;
        background: none;
        border-top: 2px dashed var(--colorNeutralForeground2);
      }
      fieldset {
        border: 0;
        margin: 0 0 8px;
        padding: 0;
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
      }
      legend {
        float: inline-start;
        padding: 0;
        margin-inline-end: 12px;
      }
      .scroll {
        max-height: 280px;
      }
    `,
  ];

  /** Increased from time to time while licences change. */
  @property({ type: Number }) revision = 0;
  @state() private span: Span = "day";
  @state() private usage: Usage | null = null;
  /** The bar whose numbers are shown. */
  @state() private shown: number | null = null;
  private readonly task = new BusyController(this);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision") || changed.has("span")) void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="usage">
      <h2 id="usage">${t("usage.title")}</h2>
      <fieldset>
        <legend>${t("usage.span")}</legend>
        ${SPANS.map(
          (span) =>
            html`<label
              ><input
                type="radio"
                name="span"
                value=${span}
                .checked=${this.span === span}
                @change=${() => (this.span = span)}
              />
              ${t(`usage.${span}`)}</label
            >`,
        )}
      </fieldset>
      ${
        this.usage === null
          ? placeholder(this.task.trouble, () => this.load(), 256)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>${this.renderUsage(this.usage)}`
      }
    </section>`;
  }

  private renderUsage(usage: Usage) {
    const peak = Math.max(...usage.buckets.map((bucket) => bucket.peak));
    const denials = usage.buckets.reduce((sum, bucket) => sum + bucket.denials, 0);
    const refused = denials > 0 ? ` ${t("usage.summary-refused", { count: denials })}` : "";
    const words = `${t("usage.summary", { peak, seats: usage.seats })}${refused}`;
    const scale = scaleOf(Math.max(peak, usage.seats, 1));
    return html`<p>${words}</p>
      <div class="chart">
        <div class="y" aria-hidden="true">
          ${scale.ticks.map((tick) => html`<span .style=${`top: ${100 * (1 - tick / scale.top)}%`}>${number(tick)}</span>`)}
        </div>
        <div
          class="plot"
          tabindex="0"
          role="slider"
          aria-labelledby="usage"
          aria-valuemin="1"
          aria-valuemax=${usage.buckets.length}
          aria-valuenow=${(this.shown ?? 0) + 1}
          aria-valuetext=${this.shown === null ? words : textOf(usage.buckets[this.shown])}
          @pointermove=${this.point}
          @pointerdown=${this.point}
          @pointerleave=${() => (this.shown = null)}
          @keydown=${this.step}
          @blur=${() => (this.shown = null)}
        >
          ${this.renderPlot(usage, scale)}
          ${
            usage.seats > 0
              ? html`<span class="capacity" .style=${`top: ${100 * (1 - usage.seats / scale.top)}%`} aria-hidden="true"
                  >${t("usage.capacity", { count: usage.seats })}</span
                >`
              : nothing
          }
          ${this.shown === null ? nothing : this.renderTip(usage, this.shown)}
        </div>
        <div class="x" aria-hidden="true">
          ${usage.buckets.map((bucket, index) =>
            index % EVERY[this.span] === 0
              ? html`<span .style=${`left: ${(100 * (index + 0.5)) / usage.buckets.length}%`}
                  >${tickOf(bucket.start, this.span)}</span
                >`
              : nothing,
          )}
        </div>
      </div>
      <div class="legend" aria-hidden="true">
        <span>${t("usage.peak")}</span><span class="a">${t("usage.average")}</span>
        <span class="s">${t("usage.seats")}</span><span class="d">${t("usage.denials")}</span>
      </div>
      <details>
        <summary>${t("usage.table")}</summary>
        <div class="scroll" tabindex="0" role="group" aria-labelledby="usage">
          <table class="numbers" aria-labelledby="usage">
            <thead>
              <tr>
                <th scope="col">${t("usage.from")}</th>
                <th scope="col">${t("usage.peak")}</th>
                <th scope="col">${t("usage.average")}</th>
                <th scope="col">${t("usage.denials")}</th>
              </tr>
            </thead>
            <tbody>
              ${usage.buckets.map(
                (bucket) =>
                  html`<tr>
                    <th scope="row">${dateTime(bucket.start)}</th>
                    <td>${number(bucket.peak)}</td>
                    <td>${number(bucket.average)}</td>
                    <td>${number(bucket.denials)}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
      </details>`;
  }

  private renderPlot(usage: Usage, { top, ticks }: Scale) {
    const step = WIDTH / usage.buckets.length;
    const y = (value: number) => HEIGHT * (1 - value / top);
    const lines = busySpans(usage.buckets).map((span) =>
      span.map(([index, average]) => `${(index + 0.5) * step},${y(average)}`).join(" "),
    );
    return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true">
      ${ticks.map((tick) => svg`<line class="grid" x1="0" x2=${WIDTH} y1=${y(tick)} y2=${y(tick)} />`)}
      ${usage.buckets.map(
        (bucket, index) =>
          svg`<rect class="peak" x=${index * step + 1} y=${y(bucket.peak)} width=${step - 2} height=${HEIGHT - y(bucket.peak)} />
          ${bucket.denials > 0 ? svg`<rect class="denied" x=${index * step + 1} y=${Math.max(0, y(bucket.peak) - DENIED)} width=${step - 2} height=${DENIED} />` : nothing}`,
      )}
      <line class="seats" x1="0" x2=${WIDTH} y1=${y(usage.seats)} y2=${y(usage.seats)} />
      ${lines.map((points) => svg`<polyline class="halo" points=${points} /><polyline class="average" points=${points} />`)}
    </svg>`;
  }

  private renderTip(usage: Usage, index: number) {
    const bucket = usage.buckets[index];
    if (bucket === undefined) return nothing;
    const share = 100 / usage.buckets.length;
    // On the side where there is room.
    const side = index < usage.buckets.length / 2 ? `left: ${(index + 1) * share}%` : `right: ${100 - index * share}%`;
    return html`<span class="here" .style=${`left: ${index * share}%; width: ${share}%`}></span>
      <div class="tip" .style=${side} id="usage-tip">
        <strong>${dateTime(bucket.start)}</strong>
        <span>${t("usage.peak")}: ${number(bucket.peak)}</span>
        <span>${t("usage.average")}: ${number(bucket.average)}</span>
        ${bucket.denials > 0 ? html`<span>${t("usage.denials")}: ${number(bucket.denials)}</span>` : nothing}
      </div>`;
  }

  private point(event: PointerEvent) {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    this.show(Math.floor(((event.clientX - box.left) / box.width) * this.count));
  }

  private step(event: KeyboardEvent) {
    const last = this.count - 1;
    const { shown } = this;
    const moves: Record<string, number | null> = {
      ArrowRight: shown === null ? 0 : shown + 1,
      ArrowUp: shown === null ? 0 : shown + 1,
      ArrowLeft: shown === null ? last : shown - 1,
      ArrowDown: shown === null ? last : shown - 1,
      Home: 0,
      End: last,
      Escape: null,
    };
    const moved = moves[event.key];
    if (moved === undefined) return;
    event.preventDefault();
    if (moved === null) this.shown = null;
    else this.show(moved);
  }

  private get count(): number {
    return this.usage?.buckets.length ?? 0;
  }

  private show(index: number) {
    this.shown = Math.min(Math.max(index, 0), this.count - 1);
  }

  private async load() {
    const span = this.span;
    await this.task.load(api.usage(span), (usage) => {
      if (span !== this.span) return;
      this.usage = usage;
      this.shown = null;
    });
  }
}
