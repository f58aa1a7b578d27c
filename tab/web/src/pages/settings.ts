// The person's settings: what the bot writes, the language, and what is stored on this device.
import { LitElement, css, html } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { button } from "../button.js";
import { keepFocus } from "../focus.js";
import type { Surroundings } from "../host.js";
import { forgetSignIn, lastSignIn } from "../remembered.js";
import "../settings-words.js";
import { shared } from "../styles.js";
import { confirmDone } from "../toasts.js";
import { t } from "../words.js";
import "./notices.js";

@customElement("pbx-settings")
export class SettingsPage extends LitElement {
  static override styles = [
    shared,
    css`
      .cards {
        display: grid;
        gap: 16px;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr));
        align-items: start;
      }
      section {
        margin-bottom: 16px;
      }
    `,
  ];

  @property({ type: Boolean }) administrator = false;
  @property({ attribute: false }) surroundings!: Surroundings;
  @state() private forgotten = false;

  constructor() {
    super();
    keepFocus(this);
  }

  override render() {
    return html`<h1 tabindex="-1">${t("nav.settings")}</h1>
      <div class="cards">
        <pbx-notices ?administrator=${this.administrator}></pbx-notices>
        <div>${this.renderDevice()} ${this.renderLanguage()}</div>
      </div>`;
  }

  private renderDevice() {
    const last = this.forgotten ? null : lastSignIn(this.surroundings);
    return html`<section class="card" aria-labelledby="device">
      <h2 id="device">${t("settings.device")}</h2>
      ${
        last?.kept
          ? html`<p>${t("settings.device-kept", { pbxName: last.pbxName, login: last.login })}</p>
              ${button({ label: t("settings.forget"), onClick: () => this.forget() })}`
          : html`<p>${t("settings.device-nothing")}</p>`
      }
      <p class="hint">${t("settings.device-hint")}</p>
    </section>`;
  }

  private renderLanguage() {
    return html`<section class="card" aria-labelledby="language">
      <h2 id="language">${t("settings.language")}</h2>
      <p>${t("settings.language-text")}</p>
    </section>`;
  }

  private forget() {
    forgetSignIn();
    this.forgotten = true;
    confirmDone(t("settings.forgotten"));
  }
}
