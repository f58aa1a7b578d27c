// Voicemail: the number of new messages, the list, and playing a message on a phone, never in the browser.
import { LitElement, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type Voicemail } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { listStyles, sectionStyles } from "../page-styles.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { dateTime, t } from "../words.js";
import { duration } from "./phone-calls.js";
import { callThem, numberBelow, whom } from "./phone-shared.js";

@customElement("pbx-phone-voicemail")
export class PhoneVoicemail extends LitElement {
  static override styles = [shared, sectionStyles, listStyles];

  /** Number of new messages; null if unknown. */
  @property({ attribute: false }) fresh: number | null = null;
  @property({ type: Boolean }) plays = false;
  @property({ type: Boolean }) dials = false;
  @property() revision = "";
  @state() private messages: Voicemail[] | null = null;
  @state() private notice = "";
  private readonly task = new BusyController(this);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("fresh") || changed.has("revision")) void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="voicemail">
      <h2 id="voicemail">${this.fresh ? t("phone.voicemail-new", { count: this.fresh }) : t("phone.voicemail")}</h2>
      ${
        this.messages === null
          ? placeholder(this.task.trouble, () => this.load(), 120)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>
              <pbx-message intent="info" text=${this.notice}></pbx-message>
              ${this.renderMessages(this.messages)}`
      }
    </section>`;
  }

  private renderMessages(messages: Voicemail[]) {
    if (messages.length === 0) return html`<p>${t("phone.voicemail-none")}</p>`;
    return html`<ul aria-labelledby="voicemail">
      ${messages.map((message) => {
        const who = message.name || message.number || t("call.unknown");
        return html`<li>
          <span class="name">
            ${message.isNew ? html`<strong>${whom(message)}</strong>` : whom(message)} ${numberBelow(message)}
            <span class="below"
              >${message.isNew ? html`${t("phone.voicemail-is-new")} · ` : nothing}${dateTime(message.beganAt)} ·
              ${duration(message.seconds)}${message.mailbox ? html` · <bdi>${message.mailbox}</bdi>` : nothing}</span
            >
          </span>
          <span class="actions">
            ${
              this.plays
                ? button({
                    label: t("phone.play"),
                    small: true,
                    ariaLabel: `${t("phone.play")}: ${who}`,
                    disabled: this.task.busy,
                    onClick: () => void this.play(message),
                  })
                : nothing
            }
            ${
              this.dials && message.number !== ""
                ? button({
                    label: t("phone.call-back"),
                    small: true,
                    ariaLabel: `${t("phone.call-back")}: ${who}`,
                    onClick: () => callThem(this, message),
                  })
                : nothing
            }
          </span>
        </li>`;
      })}
    </ul>`;
  }

  private async load() {
    await this.task.load(api.voicemails(), ({ messages }) => (this.messages = messages));
  }

  private async play(message: Voicemail) {
    this.notice = "";
    await this.task.run(async () => {
      await api.playVoicemail(message.messageId, "");
      this.notice = t("phone.playing");
    });
  }
}
