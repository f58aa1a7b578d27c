// Help when calls end at once: the consent. The browser makes the UCI login from the password and seals it to the
// connector, as at sign-in.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, ownTrouble, type AudioState } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { field, fieldStyles } from "../field.js";
import type { Surroundings } from "../host.js";
import { parseKey, readKeyFile } from "../pbxkey.js";
import { sectionStyles } from "../page-styles.js";
import { isImpostor, seal, sealContext, uciToken } from "../sealing.js";
import { shared } from "../styles.js";
import { dateTime, t } from "../words.js";

const FIELD_OF: Record<string, string> = {
  "key-missing": "calls-key",
  "malformed-key": "calls-key",
  "key-too-short": "calls-key",
  "key-too-long": "calls-key",
  "login-missing": "calls-password",
  "login-rejected": "calls-password",
};

@customElement("pbx-audio-calls")
export class AudioCalls extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    css`
      form {
        display: flex;
        flex-direction: column;
        gap: 12px;
        max-width: 480px;
      }
      .hint {
        margin-bottom: 12px;
      }
    `,
  ];

  @property({ attribute: false }) since: string | null = null;
  @property({ attribute: false }) surroundings!: Surroundings;
  @state() private asking = false;
  private readonly task = new BusyController(this, FIELD_OF);
  @query("#calls-key") private keyInput!: HTMLInputElement;
  @query("#calls-password") private passwordInput!: HTMLInputElement;
  @query("#calls-file") private fileInput!: HTMLInputElement;
  private connectorIdentity: string | null = null;

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
    return button({ label: t("audio.calls-begin"), onClick: () => void this.ask() });
  }

  private renderForm() {
    return html`<form novalidate @submit=${this.submit}>
      <button type="submit" hidden></button>
      ${field({
        id: "calls-key",
        label: t("sign-in.pbx-key"),
        hint: t("audio.calls-key-hint"),
        invalid: this.task.invalid === "calls-key",
      })}
      <div class="actions">
        ${button({ label: t("sign-in.choose"), small: true, onClick: () => this.fileInput.click() })}
        <input id="calls-file" type="file" hidden accept=".pbxkey,.json,application/json" @change=${this.takeFile} />
      </div>
      ${field({
        id: "calls-password",
        label: t("sign-in.password"),
        hint: t("audio.calls-password-hint"),
        type: "password",
        autocomplete: "current-password",
        invalid: this.task.invalid === "calls-password",
      })}
      <div class="actions">
        ${button({
          label: t(this.task.busy ? "audio.calls-busy" : "audio.calls-do"),
          primary: true,
          submit: true,
          disabled: this.task.busy,
        })}
        ${button({ label: t("app.cancel"), onClick: () => this.cancel() })}
      </div>
    </form>`;
  }

  private async ask() {
    this.asking = true;
    await this.updateComplete;
    this.keyInput.focus();
  }

  private cancel() {
    this.asking = false;
    this.task.trouble = null;
  }

  private async submit(event: Event) {
    event.preventDefault();
    await this.task.run(async () => {
      if (this.keyInput.value.trim() === "") return this.task.fail(ownTrouble("key-missing"));
      if (this.passwordInput.value === "") return this.task.fail(ownTrouble("login-missing"));
      const key = await parseKey(this.keyInput.value);
      const prepared = await api.prepareCalls();
      if (await isImpostor(this.connectorIdentity, prepared)) return this.task.fail(ownTrouble("impostor"));
      const { tenantId, objectId } = this.surroundings;
      const context = sealContext("pbx-calls.v1", prepared.pbxName, tenantId, objectId, prepared.nonce);
      const credentials = {
        login: prepared.login,
        uciToken: await uciToken(prepared.login, this.passwordInput.value),
      };
      const box = await seal(prepared.sealingKey, key, JSON.stringify(credentials), context);
      this.tell(await api.followCalls({ nonce: prepared.nonce, box }));
      this.asking = false;
    });
  }

  private async leave() {
    await this.task.run(async () => this.tell(await api.leaveCalls()));
  }

  private async takeFile() {
    const file = this.fileInput.files?.[0];
    if (file === undefined) return;
    await this.task.run(async () => {
      const content = await readKeyFile(file);
      this.keyInput.value = content.pbxKey;
      this.connectorIdentity = content.connectorIdentity;
    });
    this.fileInput.value = "";
  }

  private tell(detail: AudioState) {
    this.dispatchEvent(new CustomEvent<AudioState>("audio-changed", { detail }));
  }
}
