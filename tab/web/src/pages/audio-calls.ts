// Consent to the help with dropped calls.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type AudioState, type UciConsent } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import type { Surroundings } from "../host.js";
import { sectionStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import "../uci-consent.js";
import { dateTime, t } from "../words.js";

@customElement("pbx-audio-calls")
export class AudioCalls extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    css`
      .hint {
        margin-bottom: 12px;
      }
    `,
  ];

  @property({ attribute: false }) since: string | null = null;
  @property({ attribute: false }) surroundings!: Surroundings;
  @state() private asking = false;
  private readonly task = new BusyController(this);

  override render() {
    return html`<section class="card" aria-labelledby="calls">
      <h2 id="calls">${t("audio.calls")}</h2>
      <p>${t("audio.calls-text")}</p>
      <p class="hint">${t("audio.calls-privacy")}</p>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      <div aria-live="polite">${this.since !== null ? this.renderOn(this.since) : nothing}</div>
      ${this.since === null ? (this.asking ? this.renderForm() : this.renderOff()) : nothing}
    </section>`;
  }

  private renderOn(since: string) {
    return html`<p>${t("audio.calls-on", { at: dateTime(since) })}</p>
      ${button({ label: t("audio.calls-stop"), disabled: this.task.busy, onClick: () => void this.leave() })}`;
  }

  private renderOff() {
    return button({ label: t("audio.calls-begin"), onClick: () => (this.asking = true) });
  }

  private renderForm() {
    return html`<pbx-uci-consent
      purpose="pbx-calls.v1"
      submit=${t("audio.calls-do")}
      .surroundings=${this.surroundings}
      .prepare=${() => api.prepareCalls()}
      .give=${async (consent: UciConsent) => {
        this.tell(await api.followCalls(consent));
        this.asking = false;
      }}
      @cancelled=${() => (this.asking = false)}
    ></pbx-uci-consent>`;
  }

  private async leave() {
    await this.task.run(async () => this.tell(await api.leaveCalls()));
  }

  private tell(detail: AudioState) {
    this.dispatchEvent(new CustomEvent<AudioState>("audio-changed", { detail }));
  }
}
