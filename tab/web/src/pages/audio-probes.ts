// The audio probe: an explanation, pairing by code, and the paired computers.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type AudioState, type PairingCode } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { listStyles, sectionStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { dateTime, t, time } from "../words.js";
import "./downloads.js";

@customElement("pbx-audio-probes")
export class AudioProbes extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    listStyles,
    css`
      .code {
        font: 600 24px/32px var(--fontFamilyMonospace, monospace);
        letter-spacing: 2px;
        margin: 0 0 4px;
      }
      code {
        display: block;
        overflow-wrap: anywhere;
        background: var(--colorNeutralBackground3);
        border-radius: 4px;
        padding: 8px;
        margin-bottom: 8px;
      }
      ul {
        margin: 12px 0;
      }
      .hint {
        margin-bottom: 12px;
      }
    `,
  ];

  @property({ attribute: false }) probes: AudioState["probes"] = [];
  @state() private code: PairingCode | null = null;
  private readonly task = new BusyController(this);

  override willUpdate(changed: Map<string, unknown>) {
    const before = changed.get("probes") as AudioState["probes"] | undefined;
    // The code has been used and is no longer valid.
    if (before !== undefined && this.probes.length > before.length) this.code = null;
  }

  override render() {
    return html`<section class="card" aria-labelledby="probe">
      <h2 id="probe">${t("audio.probe")}</h2>
      <p>${t("audio.probe-text")}</p>
      <p class="hint">${t("audio.probe-privacy")}</p>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${
        this.probes.length > 0
          ? html`<ul aria-live="polite">
              ${this.probes.map((probe) => this.renderProbe(probe))}
            </ul>`
          : nothing
      }
      <pbx-downloads helper></pbx-downloads>
      <div aria-live="polite">${this.code ? this.renderCode(this.code) : nothing}</div>
      ${button({
        label: t(this.code ? "audio.pair-again" : "audio.pair"),
        disabled: this.task.busy,
        onClick: () => void this.pair(),
      })}
    </section>`;
  }

  private renderProbe(probe: AudioState["probes"][number]) {
    const words = probe.connected
      ? t("audio.probe-connected")
      : t("audio.probe-last-seen", { at: dateTime(probe.lastSeen) });
    return html`<li>
      <span class="name">${probe.machine}<span class="below">${words}</span></span>
      ${button({
        label: t("audio.probe-remove"),
        small: true,
        ariaLabel: t("audio.probe-remove-name", { name: probe.machine }),
        disabled: this.task.busy,
        onClick: () => void this.removeProbe(probe.probeId),
      })}
    </li>`;
  }

  private renderCode(code: PairingCode) {
    return html`
      <p>${t("audio.code-text", { until: time(code.expires) })}</p>
      <p class="code" id="pairing-code">${code.code}</p>
      <code>pbx-audio-probe pair ${code.service} ${code.code}</code>
    `;
  }

  private async pair() {
    await this.task.run(async () => {
      this.code = await api.newPairingCode();
    });
  }

  private async removeProbe(probeId: string) {
    await this.task.run(async () => {
      const detail = await api.removeProbe(probeId);
      this.dispatchEvent(new CustomEvent<AudioState>("audio-changed", { detail }));
    });
  }
}
