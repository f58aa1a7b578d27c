// Help when calls end at once: the consent. The browser makes the UCI login from the password and seals it to the
// connector, as at sign-in.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, ownTrouble, troubleOf, type AudioState, type Trouble } from "../api.js";
import { field, fieldStyles } from "../field.js";
import type { Surroundings } from "../host.js";
import { KeyFault, parseKey, readKeyFile } from "../pbxkey.js";
import { isImpostor, seal, sealContext, uciToken } from "../sealing.js";
import { shared } from "../styles.js";
import { dateTime, t } from "../words.js";
import { sectionStyles } from "./audio-shared.js";

const FIELD_OF: Record<string, string> = {
  "key-missing": "calls-key",
  "malformed-key": "calls-key",
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
  @state() private busy = false;
  @state() private trouble: Trouble | null = null;
  @state() private invalid = "";
  @query("#calls-key") private keyInput!: HTMLInputElement;
  @query("#calls-password") private passwordInput!: HTMLInputElement;
  @query("#calls-file") private fileInput!: HTMLInputElement;
  private connectorIdentity: string | null = null;

  override render() {
    return html`<section class="card" aria-labelledby="calls">
      <h2 id="calls">${t("audio.calls")}</h2>
      <p>${t("audio.calls-text")}</p>
      <p class="hint">${t("audio.calls-privacy")}</p>
      <pbx-message .trouble=${this.trouble}></pbx-message>
      <div aria-live="polite">${this.since !== null ? this.renderOn(this.since) : nothing}</div>
      ${this.since === null ? (this.asking ? this.renderForm() : this.renderOff()) : nothing}
    </section>`;
  }

  private renderOn(since: string) {
    return html`<p>${t("audio.calls-on", { at: dateTime(since) })}</p>
      <fluent-button role="button" ?disabled=${this.busy} aria-disabled=${this.busy} @click=${this.leave}
        >${t("audio.calls-stop")}</fluent-button
      >`;
  }

  private renderOff() {
    return html`<fluent-button role="button" @click=${this.ask}>${t("audio.calls-begin")}</fluent-button>`;
  }

  private renderForm() {
    return html`<form novalidate @submit=${this.submit}>
      <button type="submit" hidden></button>
      ${field({
        id: "calls-key",
        label: t("sign-in.pbx-key"),
        hint: t("audio.calls-key-hint"),
        invalid: this.invalid === "calls-key",
      })}
      <div class="actions">
        <fluent-button role="button" type="button" size="small" @click=${() => this.fileInput.click()}
          >${t("sign-in.choose")}</fluent-button
        >
        <input id="calls-file" type="file" hidden accept=".pbxkey,.json,application/json" @change=${this.takeFile} />
      </div>
      ${field({
        id: "calls-password",
        label: t("sign-in.password"),
        hint: t("audio.calls-password-hint"),
        type: "password",
        autocomplete: "current-password",
        invalid: this.invalid === "calls-password",
      })}
      <div class="actions">
        <fluent-button
          role="button"
          type="submit"
          appearance="primary"
          ?disabled=${this.busy}
          aria-disabled=${this.busy}
          >${t(this.busy ? "audio.calls-busy" : "audio.calls-do")}</fluent-button
        >
        <fluent-button role="button" type="button" @click=${this.cancel}>${t("sign-in.cancel")}</fluent-button>
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
    this.trouble = null;
    this.invalid = "";
  }

  private async submit(event: Event) {
    event.preventDefault();
    await this.working(async () => {
      if (this.keyInput.value.trim() === "") return this.fail(ownTrouble("key-missing"));
      if (this.passwordInput.value === "") return this.fail(ownTrouble("login-missing"));
      const key = await parseKey(this.keyInput.value);
      const prepared = await api.prepareCalls();
      if (await isImpostor(this.connectorIdentity, prepared)) return this.fail(ownTrouble("impostor"));
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
    await this.working(async () => this.tell(await api.leaveCalls()));
  }

  private async takeFile() {
    const file = this.fileInput.files?.[0];
    if (file === undefined) return;
    await this.working(async () => {
      const content = await readKeyFile(file);
      this.keyInput.value = content.pbxKey;
      this.connectorIdentity = content.connectorIdentity;
    });
    this.fileInput.value = "";
  }

  private tell(detail: AudioState) {
    this.dispatchEvent(new CustomEvent<AudioState>("audio-changed", { detail }));
  }

  private async working(run: () => Promise<void>) {
    if (this.busy) return;
    this.busy = true;
    this.trouble = null;
    this.invalid = "";
    try {
      await run();
    } catch (error) {
      this.fail(error instanceof KeyFault ? ownTrouble(error.code) : troubleOf(error));
    } finally {
      this.busy = false;
    }
  }

  private fail(trouble: Trouble) {
    this.trouble = trouble;
    this.invalid = FIELD_OF[trouble.code] ?? "";
    this.renderRoot.querySelector<HTMLElement>(`#${this.invalid || "none"}`)?.focus();
  }
}
