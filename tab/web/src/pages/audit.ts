// The audit as a file: which days, and a word when they do not fit into one.
import { LitElement, css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { api, save, troubleOf, type Trouble } from "../api.js";
import { button } from "../button.js";
import { field, fieldStyles } from "../field.js";
import { shared } from "../styles.js";
import { t } from "../words.js";

const DAYS = 90;

@customElement("pbx-audit")
export class Audit extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    css`
      .days {
        display: flex;
        flex-wrap: wrap;
        gap: 12px 16px;
        margin-bottom: 12px;
      }
    `,
  ];

  @state() private since = day(1 - DAYS);
  @state() private until = day(0);
  @state() private busy = false;
  @state() private outOfOrder = false;
  @state() private partly = false;
  @state() private trouble: Trouble | null = null;

  override render() {
    return html`<section class="card" aria-labelledby="audit">
      <h2 id="audit">${t("audit.title")}</h2>
      <p>${t("audit.text")}</p>
      <div class="days">${this.renderDay("since", t("audit.since"))} ${this.renderDay("until", t("audit.until"))}</div>
      <pbx-message .trouble=${this.trouble}></pbx-message>
      <pbx-message id="audit-error" .text=${this.outOfOrder ? t("audit.out-of-order") : ""}></pbx-message>
      <pbx-message intent="warning" .text=${this.partly ? t("audit.partly") : ""}></pbx-message>
      ${button({
        label: t(this.busy ? "audit.exporting" : "audit.export"),
        disabled: this.busy,
        onClick: () => this.export(),
      })}
    </section>`;
  }

  private renderDay(which: "since" | "until", label: string) {
    return field({
      id: `audit-${which}`,
      label,
      type: "date",
      min: "2000-01-01",
      max: day(0),
      value: this[which],
      ...(this.outOfOrder ? { invalid: true, describedBy: "audit-error" } : {}),
      onInput: (event) => (this[which] = (event.target as HTMLInputElement).value),
    });
  }

  private async export() {
    this.trouble = null;
    this.partly = false;
    this.outOfOrder = this.since !== "" && this.until !== "" && this.since > this.until;
    if (this.outOfOrder) return;
    this.busy = true;
    try {
      const file = await api.exportAudit({ since: this.since, until: this.until });
      save(file);
      this.partly = !file.complete;
    } catch (error) {
      this.trouble = troubleOf(error);
    } finally {
      this.busy = false;
    }
  }
}

/** So many days from today, as a date field has it, in the person's own zone. */
function day(from: number): string {
  const moment = new Date();
  moment.setDate(moment.getDate() + from);
  const twoDigits = (value: number) => String(value).padStart(2, "0");
  return `${moment.getFullYear()}-${twoDigits(moment.getMonth() + 1)}-${twoDigits(moment.getDate())}`;
}
