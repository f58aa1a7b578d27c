// Export of the audit: a choice of days, and a note if they do not fit into one file.
import { LitElement, css, html } from "lit";
import { customElement, state } from "lit/decorators.js";
import { api, save, type FileFormat } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { field, fieldStyles } from "../field.js";
import { shared } from "../styles.js";
import { day, t } from "../words.js";

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
  @state() private exporting: FileFormat | null = null;
  @state() private outOfOrder = false;
  @state() private partly = false;
  private readonly task = new BusyController(this);

  override render() {
    return html`<section class="card" aria-labelledby="audit">
      <h2 id="audit">${t("audit.title")}</h2>
      <p>${t("audit.text")}</p>
      <div class="days">${this.renderDay("since", t("audit.since"))} ${this.renderDay("until", t("audit.until"))}</div>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      <pbx-message id="audit-error" .text=${this.outOfOrder ? t("audit.out-of-order") : ""}></pbx-message>
      <pbx-message intent="warning" .text=${this.partly ? t("audit.partly") : ""}></pbx-message>
      <div class="actions">${this.renderExport("xlsx")} ${this.renderExport("csv")}</div>
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

  private renderExport(format: FileFormat) {
    return button({
      label: t(this.exporting === format && this.task.busy ? "audit.exporting" : `audit.export.${format}`),
      disabled: this.task.busy,
      onClick: () => this.export(format),
    });
  }

  private async export(format: FileFormat) {
    this.task.trouble = null;
    this.partly = false;
    this.outOfOrder = this.since !== "" && this.until !== "" && this.since > this.until;
    if (this.outOfOrder) return;
    this.exporting = format;
    await this.task.run(async () => {
      const file = await api.exportAudit(format, { since: this.since, until: this.until });
      save(file);
      this.partly = !file.complete;
    });
  }
}
