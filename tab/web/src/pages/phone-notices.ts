// Which messages about calls the bot sends to the user's chat. The bot's card "messages" has the same switches.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { live } from "lit/directives/live.js";
import { api, type CallNotices, type CallNoticesState } from "../api.js";
import { BusyController } from "../busy.js";
import { sectionStyles, tickStyles } from "../page-styles.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import "../settings-words.js";
import { t } from "../words.js";

const SWITCHES = ["callsInChat", "missedCalls", "numbersInChat"] as const;

@customElement("pbx-phone-notices")
export class PhoneNotices extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    tickStyles,
    css`
      label {
        display: flex;
        overflow-wrap: anywhere;
      }
      .hint {
        margin-top: 8px;
      }
    `,
  ];

  /** Changes when the settings may have been changed elsewhere. */
  @property() revision = "";
  @state() private settings: CallNoticesState | null = null;
  private readonly task = new BusyController(this);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision")) void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="call-notices">
      <h2 id="call-notices">${t("phone.notices")}</h2>
      ${
        this.settings === null
          ? placeholder(this.task.trouble, () => this.load(), 120)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>${this.renderSettings(this.settings)}`
      }
    </section>`;
  }

  private renderSettings(settings: CallNoticesState) {
    const { unreachableReason: reason } = settings;
    const isAny = settings.callsInChat || settings.missedCalls;
    return html`
      ${
        reason === null
          ? nothing
          : html`<pbx-message
              intent=${isAny ? "warning" : "info"}
              text=${t(`notices.unreachable.${reason}`)}
            ></pbx-message>`
      }
      ${SWITCHES.map(
        (name) =>
          html`<label
            ><input
              type="checkbox"
              id=${name}
              .checked=${live(settings[name])}
              ?disabled=${this.task.busy || (name === "numbersInChat" && !isAny)}
              @change=${(event: Event) => void this.change({ [name]: (event.target as HTMLInputElement).checked })}
            />${t(`phone.notices.${name}`)}</label
          >`,
      )}
      <p class="hint">${t("phone.notices-hint")}</p>
    `;
  }

  private async load() {
    await this.task.load(api.callNotices(), (settings) => (this.settings = settings));
  }

  private async change(wish: Partial<CallNotices>) {
    const { settings } = this;
    if (settings === null) return;
    const { callsInChat, missedCalls, numbersInChat } = { ...settings, ...wish };
    await this.task.run(
      async () => (this.settings = await api.setCallNotices({ callsInChat, missedCalls, numbersInChat })),
    );
  }
}
