// What the history advises: who should have a licence of their own, how many seats the others need, what it costs.
import { LitElement, css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { api, troubleOf, type LicenceAdvice, type LicenceMix, type Trouble } from "../api.js";
import { field, fieldStyles } from "../field.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { number, parseNumber, t } from "../words.js";

@customElement("pbx-advice")
export class AdvicePart extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    css`
      .card {
        margin-bottom: 16px;
      }
      .prices {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
        margin-bottom: 12px;
      }
      table {
        border-collapse: collapse;
      }
      th,
      td {
        text-align: end;
        padding: 6px 16px 6px 0;
        border-bottom: 1px solid var(--colorNeutralStroke2);
      }
      th:first-child {
        text-align: start;
      }
      .scroll {
        overflow-x: auto;
      }
    `,
  ];

  @state() private advice: LicenceAdvice | null = null;
  @state() private trouble: Trouble | null = null;
  private prices: { ualPrice?: number; flPrice?: number } = {};

  override connectedCallback() {
    super.connectedCallback();
    void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="advice">
      <h2 id="advice">${t("advice.title")}</h2>
      ${
        this.advice === null
          ? placeholder(this.trouble, () => this.load(), 40)
          : html`<pbx-message .trouble=${this.trouble}></pbx-message>${this.renderAdvice(this.advice)}`
      }
    </section>`;
  }

  private renderAdvice(advice: LicenceAdvice) {
    if (!advice.enoughHistory) return html`<p>${t("advice.too-early", { days: number(advice.workingDays) })}</p>`;
    const values = {
      days: number(advice.workingDays),
      peak: number(advice.peak),
      percentile: number(advice.percentile),
    };
    return html`<p>${t("advice.need", values)}</p>
      ${
        advice.constant.length === 0
          ? html`<p>${t("advice.nobody-constant")}</p>`
          : html`<p>${t("advice.constant")}</p>
              <ul>
                ${advice.constant.map(
                  (one) => html`<li>${t("advice.constant-one", { name: one.name, days: number(one.days) })}</li>`,
                )}
              </ul>`
      }
      <div class="prices">
        ${field({ id: "ual-price", label: t("advice.ual-price"), onInput: this.setPrice("ualPrice") })}
        ${field({ id: "fl-price", label: t("advice.fl-price"), hint: t("advice.price-hint"), onInput: this.setPrice("flPrice") })}
      </div>
      <div class="scroll" tabindex="0" role="group" aria-labelledby="advice">
        <table aria-labelledby="advice">
          <thead>
            <tr>
              <td></td>
              <th scope="col">${t("state.kind.UAL")}</th>
              <th scope="col">${t("state.kind.FL")}</th>
              <th scope="col">${t("advice.cost")}</th>
            </tr>
          </thead>
          <tbody>
            ${this.renderMix(t("advice.now"), advice.now)} ${this.renderMix(t("advice.advised"), advice.advised)}
            ${this.renderMix(t("advice.lean"), advice.lean)}
          </tbody>
        </table>
      </div>`;
  }

  private renderMix(name: string, mix: LicenceMix) {
    return html`<tr>
      <th scope="row">${name}</th>
      <td>${number(mix.ual)}</td>
      <td>${number(mix.fl)}</td>
      <td>${mix.cost === null ? "–" : number(mix.cost)}</td>
    </tr>`;
  }

  private setPrice(which: "ualPrice" | "flPrice") {
    return (event: Event) => {
      const price = parseNumber((event.target as HTMLInputElement).value);
      const { [which]: _old, ...others } = this.prices;
      this.prices = price === null ? others : { ...others, [which]: price };
      void this.load();
    };
  }

  private async load() {
    const asked = this.prices;
    try {
      const advice = await api.advice(asked);
      if (asked !== this.prices) return;
      this.advice = advice;
      this.trouble = null;
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }
}
