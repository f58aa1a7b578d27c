// Privacy: the stored data about the user's devices, for how long, who sees them, and the button that deletes them.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { api, type AudioState } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { sectionStyles, tickStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { dateTime, t } from "../words.js";
import { sourceOf, whoOf } from "./audio-shared.js";

@customElement("pbx-audio-stored")
export class AudioStored extends LitElement {
  static override styles = [
    shared,
    dialogStyles,
    sectionStyles,
    tickStyles,
    css`
      ul {
        margin: 8px 0;
        padding-inline-start: 20px;
        overflow-wrap: anywhere;
      }
      summary {
        cursor: pointer;
        margin-bottom: 8px;
      }
      .share {
        display: flex;
        margin: 12px 0;
      }
    `,
  ];

  @property({ attribute: false }) audio!: AudioState;
  private readonly task = new BusyController(this);
  @query("pbx-dialog") private dialog!: Dialog;

  override render() {
    const { stored, named, records, recordsOffered } = this.audio;
    const lines = [
      ...stored.uses.map((use) => `${whoOf(use)}: ${use.label} (${sourceOf(use)})`),
      ...stored.present.map((label) => t("audio.stored-present", { device: label })),
      ...stored.calls.map((at) => t("audio.stored-call", { at: dateTime(at) })),
      ...stored.never.map((device) => t("audio.stored-never", { device })),
    ];
    return html`<section class="card" aria-labelledby="stored">
      <h2 id="stored">${t("audio.stored")}</h2>
      <p>${t("audio.stored-text")}</p>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      <details>
        <summary>${t("audio.stored-show")}</summary>
        ${
          lines.length === 0
            ? html`<p>${t("audio.stored-nothing")}</p>`
            : html`<ul>
                ${lines.map((line) => html`<li>${line}</li>`)}
              </ul>`
        }
      </details>
      ${
        recordsOffered
          ? html`<label class="share"
              ><input type="checkbox" .checked=${records} @change=${this.useRecords} /> ${t("audio.records")}</label
            >`
          : nothing
      }
      <label class="share"><input type="checkbox" .checked=${named} @change=${this.share} /> ${t("audio.share")}</label>
      ${button({
        label: t("audio.forget"),
        disabled: this.task.busy,
        onClick: (event) => void this.dialog.open(event.target),
      })}
      <pbx-dialog
        name="forget"
        .heading=${t("audio.forget-title")}
        .content=${html`<p>${t("audio.forget-text")}</p>`}
        .confirm=${t("audio.forget-do")}
        @confirmed=${this.forget}
      ></pbx-dialog>
    </section>`;
  }

  private async share(event: Event) {
    const box = event.target as HTMLInputElement;
    await this.take(() => api.setNamed(box.checked));
    box.checked = this.audio.named;
  }

  private async useRecords(event: Event) {
    const box = event.target as HTMLInputElement;
    await this.take(() => api.setRecords(box.checked));
    box.checked = this.audio.records;
  }

  private async forget() {
    this.dialog.close();
    await this.take(() => api.forgetAudio());
  }

  private async take(run: () => Promise<AudioState>) {
    await this.task.run(async () => {
      this.dispatchEvent(new CustomEvent<AudioState>("audio-changed", { detail: await run() }));
    });
  }
}
