// Use of the seats over time: a chart, and a table with the same content for keyboards and screen readers.
import { LitElement, css, html, nothing, svg } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type Usage } from "../api.js";
import { BusyController } from "../busy.js";
import { sectionStyles, tableStyles, tickStyles } from "../page-styles.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { dateTime, number, t } from "../words.js";

const SPANS = ["day", "week", "month"] as const;
type Span = (typeof SPANS)[number];
const WIDTH = 600;
const HEIGHT = 140;

@customElement("pbx-usage")
export class UsageChart extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    tableStyles,
    tickStyles,
    css`
      svg {
        width: 100%;
        height: 160px;
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
      .seats {
        stroke: var(--colorNeutralForeground2);
        stroke-dasharray: 4 4;
        vector-effect: non-scaling-stroke;
      }
      .denied {
        fill: var(--colorPaletteRedBackground3, #d13438);
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
        background: var(--colorPaletteRedBackground3, #d13438);
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
    const top = Math.max(peak, usage.seats, 1);
    const step = WIDTH / usage.buckets.length;
    const y = (value: number) => HEIGHT - (value / top) * (HEIGHT - 8);
    const line = usage.buckets.map((bucket, index) => `${(index + 0.5) * step},${y(bucket.average)}`).join(" ");
    return html`<p>${words}</p>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT + 12}" preserveAspectRatio="none" role="img" aria-label=${words}>
        ${usage.buckets.map(
          (bucket, index) =>
            svg`<rect class="peak" x=${index * step + 1} y=${y(bucket.peak)} width=${step - 2} height=${HEIGHT - y(bucket.peak)} />
            ${bucket.denials > 0 ? svg`<rect class="denied" x=${index * step + 1} y=${HEIGHT + 4} width=${step - 2} height="8" />` : nothing}`,
        )}
        <line class="seats" x1="0" x2=${WIDTH} y1=${y(usage.seats)} y2=${y(usage.seats)} />
        <polyline class="average" points=${line} />
      </svg>
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

  private async load() {
    const span = this.span;
    await this.task.load(api.usage(span), (usage) => {
      if (span === this.span) this.usage = usage;
    });
  }
}
