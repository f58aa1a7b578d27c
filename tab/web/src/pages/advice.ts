// Advice from the usage history: who should have a user-assigned licence, how many seats the others need, and the
// cost.
import { LitElement, css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { api, type LicenceAdvice, type LicenceMix } from "../api.js";
import { BusyController } from "../busy.js";
import { choice, field, fieldStyles } from "../field.js";
import { CURRENCIES, money, ownCurrency, parseNumber, type Currency } from "../numbers.js";
import { sectionStyles, tableStyles } from "../page-styles.js";
import { person } from "../person.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { number, rich, t } from "../words.js";

/** The same limit as in the service. */
const MAX_PRICE = 1_000_000;
/** A currency before or after the number. */
const CURRENCY_SIGN = /^(?:€|\$|£|CHF|EUR|GBP|USD)\s*|\s*(?:€|\$|£|CHF|EUR|GBP|USD)$/gi;

function priceOf(typed: string): number | null {
  const price = parseNumber(typed.trim().replace(CURRENCY_SIGN, ""));
  return price !== null && price <= MAX_PRICE ? price : null;
}

@customElement("pbx-advice")
export class AdvicePart extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    tableStyles,
    css`
      .prices {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
        margin-bottom: 12px;
      }
      th,
      td {
        padding-inline-end: 16px;
        border-bottom: 1px solid var(--colorNeutralStroke2);
      }
      tbody th {
        font-weight: 600;
      }
    `,
  ];

  @state() private advice: LicenceAdvice | null = null;
  private readonly task = new BusyController(this);
  private prices: { ualPrice?: number; flPrice?: number } = {};
  /** The typed prices, not parsed. */
  @state() private typed = { ualPrice: "", flPrice: "" };
  @state() private currency: Currency = ownCurrency();

  override connectedCallback() {
    super.connectedCallback();
    void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="advice">
      <h2 id="advice">${t("advice.title")}</h2>
      ${
        this.advice === null
          ? placeholder(this.task.trouble, () => this.load(), 40)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>${this.renderAdvice(this.advice)}`
      }
    </section>`;
  }

  private renderAdvice(advice: LicenceAdvice) {
    if (!advice.enoughHistory) return html`<p>${t("advice.too-early", { count: advice.workingDays })}</p>`;
    const { workingDays: days, peak, percentile } = advice;
    return html`<p>${t("advice.need", { days, peak, percentile })}</p>
      ${
        advice.constant.length === 0
          ? html`<p>${t("advice.nobody-constant")}</p>`
          : html`<p>${t("advice.constant")}</p>
              <ul>
                ${advice.constant.map(
                  (one) =>
                    html`<li>
                      ${rich("advice.constant-one", {
                        name: html`${person(one.name)}${one.login === "" ? "" : ` (${one.login})`}`,
                        count: one.days,
                      })}
                    </li>`,
                )}
              </ul>`
      }
      <div class="prices">
        ${this.renderPrice("ual-price", "ualPrice")} ${this.renderPrice("fl-price", "flPrice")}
        ${choice({
          id: "currency",
          label: t("advice.currency"),
          value: this.currency,
          options: CURRENCIES.map((value) => ({ value, label: value })),
          onChange: (value) => (this.currency = value as Currency),
        })}
      </div>
      <div class="scroll" tabindex="0" role="group" aria-labelledby="advice">
        <table class="numbers" aria-labelledby="advice">
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
      <td>${mix.cost === null ? "–" : money(mix.cost, this.currency)}</td>
    </tr>`;
  }

  private renderPrice(id: "ual-price" | "fl-price", which: "ualPrice" | "flPrice") {
    const typed = this.typed[which];
    const wrong = typed.trim() !== "" && priceOf(typed) === null;
    return field({
      id,
      label: t(`advice.${id}`),
      ...(which === "flPrice" ? { hint: t("advice.price-hint") } : {}),
      value: typed,
      inputMode: "decimal",
      error: wrong ? t("field.price", { example: money(5.5, this.currency), most: number(MAX_PRICE) }) : "",
      onInput: (event) => this.setPrice(which, (event.target as HTMLInputElement).value),
    });
  }

  private setPrice(which: "ualPrice" | "flPrice", typed: string) {
    this.typed = { ...this.typed, [which]: typed };
    const price = priceOf(typed);
    const prices = { ...this.prices };
    if (price === null) delete prices[which];
    else prices[which] = price;
    this.prices = prices;
    void this.load();
  }

  private async load() {
    const asked = this.prices;
    await this.task.load(api.advice(asked), (advice) => {
      if (asked === this.prices) this.advice = advice;
    });
  }
}
