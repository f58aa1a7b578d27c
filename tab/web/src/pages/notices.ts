// Which messages the bot may send unasked, and the quiet hours.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type NoticeSettings, type NoticeSettingsState } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { field, fieldStyles } from "../field.js";
import { tickStyles } from "../page-styles.js";
import { placeholder } from "../placeholder.js";
import "../settings-words.js";
import { shared } from "../styles.js";
import { clock, minuteOf, t } from "../words.js";

type Topic = NoticeSettings["muted"][number];

const TIME = { type: "time", required: true } as const;

@customElement("pbx-notices")
export class Notices extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    tickStyles,
    css`
      fieldset {
        border: 0;
        margin: 0 0 12px;
        padding: 0;
      }
      legend {
        padding: 0;
        margin-bottom: 4px;
      }
      label {
        display: flex;
        gap: 8px;
        align-items: center;
        min-height: 28px;
      }
      form .hint {
        margin-bottom: 8px;
      }
      .hours {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
        margin: 8px 0;
      }
      .hours .field {
        width: 120px;
      }
    `,
  ];

  @property({ type: Boolean }) administrator = false;
  @state() private settings: NoticeSettingsState | null = null;
  private readonly task = new BusyController(this);
  @state() private notice = "";

  override connectedCallback() {
    super.connectedCallback();
    void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="notices">
      <h2 id="notices">${t("notices.title")}</h2>
      ${
        this.settings === null
          ? placeholder(this.task.trouble, () => this.load(), 280)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>${this.renderSettings(this.settings)}`
      }
      <pbx-message intent="success" text=${this.notice}></pbx-message>
    </section>`;
  }

  /** Say why the bot cannot write, and how to change it. A user who has never opened the bot's chat sees no error.
   * */
  private renderUnreachable(reason: NoticeSettingsState["unreachableReason"]) {
    if (reason === null) return nothing;
    const words = t(`notices.unreachable.${reason}`);
    return reason === "no-chat"
      ? html`<p class="hint">${words}</p>`
      : html`<pbx-message intent="warning" text=${words}></pbx-message>`;
  }

  private renderSettings(settings: NoticeSettingsState) {
    const topics: Topic[] = this.administrator ? ["session", "audio", "administration"] : ["session", "audio"];
    const zone = settings.timeZone ? t("notices.zone", { zone: settings.timeZone }) : t("notices.no-zone");
    return html`<form @submit=${this.save} @input=${() => (this.notice = "")}>
      ${this.renderUnreachable(settings.unreachableReason)}
      <fieldset>
        <legend>${t("notices.topics")}</legend>
        ${topics.map(
          (topic) =>
            html`<label
              ><input type="checkbox" name=${topic} .checked=${!settings.muted.includes(topic)} />${t(
                `notices.topic.${topic}`,
              )}</label
            >`,
        )}
      </fieldset>
      <p class="hint">${t("notices.always")}</p>
      <label
        ><input type="checkbox" name="quiet" .checked=${settings.quiet} aria-describedby="quiet-hint" />${t(
          "notices.quiet",
        )}</label
      >
      <div class="hours">
        ${field({ ...TIME, id: "quiet-from", label: t("notices.from"), value: clock(settings.quietFrom) })}
        ${field({ ...TIME, id: "quiet-until", label: t("notices.until"), value: clock(settings.quietUntil) })}
      </div>
      <p class="hint" id="quiet-hint">${zone}</p>
      <div class="actions">
        ${button({ label: t(this.task.busy ? "notices.saving" : "notices.save"), submit: true, disabled: this.task.busy })}
      </div>
    </form>`;
  }

  private async load() {
    this.task.trouble = null;
    await this.task.load(api.notices(), (settings) => (this.settings = settings));
  }

  private async save(event: Event) {
    event.preventDefault();
    if (this.task.busy || this.settings === null) return;
    const given = new FormData(event.target as HTMLFormElement);
    const shown: Topic[] = this.administrator ? ["session", "audio", "administration"] : ["session", "audio"];
    const hidden = this.settings.muted.filter((topic) => !shown.includes(topic));
    this.notice = "";
    await this.task.run(async () => {
      this.settings = await api.setNotices({
        muted: [...hidden, ...shown.filter((topic) => !given.has(topic))],
        quiet: given.has("quiet"),
        quietFrom: minuteOf(given.get("quiet-from") as string),
        quietUntil: minuteOf(given.get("quiet-until") as string),
      });
      this.notice = t("notices.saved");
    });
  }
}
