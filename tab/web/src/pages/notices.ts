// What the bot may write first: which messages, and when it is night.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, troubleOf, type NoticeSettings, type NoticeSettingsState, type Trouble } from "../api.js";
import { button } from "../button.js";
import { field, fieldStyles } from "../field.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { t } from "../words.js";

type Topic = NoticeSettings["muted"][number];

const TIME = { type: "time", required: true } as const;

@customElement("pbx-notices")
export class Notices extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
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
      input[type="checkbox"] {
        width: 18px;
        height: 18px;
        flex: none;
        accent-color: var(--colorCompoundBrandBackground);
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
  @state() private trouble: Trouble | null = null;
  @state() private notice = "";
  @state() private busy = false;

  override connectedCallback() {
    super.connectedCallback();
    void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="notices">
      <h2 id="notices">${t("notices.title")}</h2>
      ${
        this.settings === null
          ? placeholder(this.trouble, () => this.load(), 280)
          : html`<pbx-message .trouble=${this.trouble}></pbx-message>${this.renderSettings(this.settings)}`
      }
      <pbx-message intent="success" text=${this.notice}></pbx-message>
    </section>`;
  }

  private renderSettings(settings: NoticeSettingsState) {
    const topics: Topic[] = this.administrator ? ["session", "audio", "administration"] : ["session", "audio"];
    const zone = settings.timeZone ? t("notices.zone", { zone: settings.timeZone }) : t("notices.no-zone");
    return html`<form @submit=${this.save} @input=${() => (this.notice = "")}>
      ${settings.reachable ? nothing : html`<p class="hint">${t("notices.unreachable")}</p>`}
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
        ${button({ label: t(this.busy ? "notices.saving" : "notices.save"), submit: true, disabled: this.busy })}
      </div>
    </form>`;
  }

  private async load() {
    this.trouble = null;
    try {
      this.settings = await api.notices();
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }

  private async save(event: Event) {
    event.preventDefault();
    if (this.busy || this.settings === null) return;
    const given = new FormData(event.target as HTMLFormElement);
    const shown: Topic[] = this.administrator ? ["session", "audio", "administration"] : ["session", "audio"];
    const hidden = this.settings.muted.filter((topic) => !shown.includes(topic));
    this.busy = true;
    this.trouble = null;
    this.notice = "";
    try {
      this.settings = await api.setNotices({
        muted: [...hidden, ...shown.filter((topic) => !given.has(topic))],
        quiet: given.has("quiet"),
        quietFrom: minuteOf(given.get("quiet-from")),
        quietUntil: minuteOf(given.get("quiet-until")),
      });
      this.notice = t("notices.saved");
    } catch (error) {
      this.trouble = troubleOf(error);
    } finally {
      this.busy = false;
    }
  }
}

/** What a time field takes: "07:00" for 420. */
function clock(minute: number): string {
  return [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, "0")).join(":");
}

function minuteOf(value: FormDataEntryValue | null): number {
  const [hours = 0, minutes = 0] = String(value).split(":").map(Number);
  return hours * 60 + minutes;
}
