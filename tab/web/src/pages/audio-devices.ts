// The devices of this machine: an explained request for permission, a live list, and a level meter and a tone to
// tell devices apart.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { BrowserDevice } from "../api.js";
import { button } from "../button.js";
import { keepFocus } from "../focus.js";
import { listen, playTone, type Access } from "../devices.js";
import { listStyles, sectionStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { t } from "../words.js";

@customElement("pbx-audio-devices")
export class AudioDevices extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    listStyles,
    css`
      meter {
        width: 120px;
      }
    `,
  ];

  @property({ attribute: false }) devices: BrowserDevice[] = [];
  @property({ attribute: false }) access: Access | null = null;
  /** Id of the device that is being tested. */
  @state() private trying: string | null = null;
  @state() private level = 0;
  @state() private failed: string | null = null;
  private stop: AbortController | null = null;

  constructor() {
    super();
    keepFocus(this);
  }

  override disconnectedCallback() {
    this.stop?.abort();
    super.disconnectedCallback();
  }

  override render() {
    return html`<section class="card" aria-labelledby="devices">
      <h2 id="devices">${t("audio.devices")}</h2>
      ${
        this.access === null
          ? html`<p role="status">${t("app.loading")}</p>`
          : this.access === "granted"
            ? this.renderList()
            : this.renderAsking(this.access)
      }
    </section>`;
  }

  private renderAsking(access: Exclude<Access, "granted">) {
    const ask = () => this.dispatchEvent(new CustomEvent("ask"));
    return html`
      <p>${t(`audio.access.${access}`)}</p>
      ${
        access === "unavailable"
          ? nothing
          : button({ label: t(access === "denied" ? "app.retry" : "audio.ask"), primary: true, onClick: ask })
      }
    `;
  }

  private renderList() {
    if (this.devices.length === 0) return html`<p role="status">${t("audio.no-devices")}</p>`;
    return html`
      <p>${t("audio.devices-text")}</p>
      <ul>
        ${this.devices.map((device) => this.renderDevice(device))}
      </ul>
    `;
  }

  private renderDevice(device: BrowserDevice) {
    const key = `${device.kind} ${device.deviceId}`;
    const trying = this.trying === key;
    const verb = device.kind === "output" ? "audio.tone" : trying ? "audio.listen-stop" : "audio.listen";
    const run = () => (device.kind === "output" ? this.tone(device, key) : this.meter(device, key, trying));
    return html`<li>
      <span class="name">${device.label}<span class="below">${t(`audio.kind.${device.kind}`)}</span></span>
      ${
        trying && device.kind === "input"
          ? html`<meter
              min="0"
              max="1"
              .value=${this.level}
              aria-label=${t("audio.level", { device: device.label })}
            ></meter>`
          : nothing
      }
      ${this.failed === key ? html`<span role="alert">${t("audio.try-failed")}</span>` : nothing}
      ${button({
        label: t(verb),
        small: true,
        ariaLabel: `${t(verb)}: ${device.label}`,
        disabled: trying && device.kind === "output",
        onClick: run,
      })}
    </li>`;
  }

  private async tone(device: BrowserDevice, key: string) {
    await this.tryOut(key, () => playTone(device.deviceId ?? ""));
  }

  private async meter(device: BrowserDevice, key: string, trying: boolean) {
    if (trying) return void this.stop?.abort();
    const stop = new AbortController();
    await this.tryOut(key, () => listen(device.deviceId ?? "", (level) => (this.level = level), stop.signal), stop);
  }

  private async tryOut(key: string, run: () => Promise<void>, stop: AbortController | null = null) {
    this.stop?.abort();
    this.stop = stop;
    this.failed = null;
    this.level = 0;
    this.trying = key;
    try {
      await run();
    } catch {
      this.failed = key;
    } finally {
      if (this.trying === key) this.trying = null;
    }
  }
}
