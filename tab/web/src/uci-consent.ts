// A consent that gives the connector the user's UCI login: the browser derives it from the password and seals it to
// the connector, as at sign-in. The service forwards it and cannot read it.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { ownTrouble, type CallsPrepared, type UciConsent } from "./api.js";
import { BusyController } from "./busy.js";
import { button } from "./button.js";
import { field, fieldStyles } from "./field.js";
import type { Surroundings } from "./host.js";
import { parseKey, readKeyFile } from "./pbxkey.js";
import { isImpostor, sealLogin, type Purpose } from "./sealing.js";
import { knownKey } from "./session-key.js";
import { shared } from "./styles.js";
import { addWords, t } from "./words.js";
import de from "./words/consent.de.json";
import en from "./words/consent.en.json";

addWords({ de, en });

const FIELD_OF: Record<string, string> = {
  "key-missing": "key",
  "malformed-key": "key",
  "key-too-short": "key",
  "key-too-long": "key",
  "login-missing": "password",
  "login-rejected": "password",
};

@customElement("pbx-uci-consent")
export class UciConsentForm extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    css`
      form {
        display: flex;
        flex-direction: column;
        gap: 12px;
        max-width: 480px;
      }
    `,
  ];

  @property() purpose!: Purpose;
  @property({ attribute: false }) surroundings!: Surroundings;
  @property() submit = "";
  /** PBX name of the session. The user is not asked for its key again while the key is known. */
  @property() pbxName = "";
  @property({ attribute: false }) prepare!: () => Promise<CallsPrepared>;
  @property({ attribute: false }) give!: (consent: UciConsent) => Promise<void>;
  private readonly task = new BusyController(this, FIELD_OF);
  @query("#key") private keyInput!: HTMLInputElement | null;
  @query("#password") private passwordInput!: HTMLInputElement;
  @query("#file") private fileInput!: HTMLInputElement;
  private connectorIdentity: string | null = null;

  private get asksKey(): boolean {
    return knownKey(this.pbxName) === null;
  }

  override render() {
    const { task } = this;
    return html`<pbx-message .trouble=${task.trouble}></pbx-message>
      <form novalidate @submit=${this.send}>
        <button type="submit" hidden></button>
        ${this.asksKey ? this.renderKey() : nothing}
        ${field({
          id: "password",
          label: t("sign-in.password"),
          hint: t("consent.password-hint"),
          type: "password",
          autocomplete: "current-password",
          invalid: task.invalid === "password",
        })}
        <div class="actions">
          ${button({
            label: task.busy ? t("consent.busy") : this.submit,
            primary: true,
            submit: true,
            disabled: task.busy,
          })}
          ${button({ label: t("app.cancel"), onClick: () => this.dispatchEvent(new CustomEvent("cancelled")) })}
        </div>
      </form>`;
  }

  override firstUpdated() {
    (this.keyInput ?? this.passwordInput).focus();
  }

  private renderKey() {
    return html`${field({
        id: "key",
        label: t("sign-in.pbx-key"),
        hint: t("consent.key-hint"),
        invalid: this.task.invalid === "key",
      })}
      <div class="actions">
        ${button({ label: t("sign-in.choose"), small: true, onClick: () => this.fileInput.click() })}
        <input id="file" type="file" hidden accept=".pbxkey,.json,application/json" @change=${this.takeFile} />
      </div>`;
  }

  private async send(event: Event) {
    event.preventDefault();
    await this.task.run(async () => {
      const typed = this.keyInput?.value ?? knownKey(this.pbxName) ?? "";
      if (typed.trim() === "") return this.task.fail(ownTrouble("key-missing"));
      if (this.passwordInput.value === "") return this.task.fail(ownTrouble("login-missing"));
      const key = await parseKey(typed);
      const prepared = await this.prepare();
      if (await isImpostor(this.connectorIdentity, prepared)) return this.task.fail(ownTrouble("impostor"));
      await this.give(await sealLogin(this.purpose, prepared, this.surroundings, key, this.passwordInput.value));
    });
  }

  private async takeFile() {
    const file = this.fileInput.files?.[0];
    if (file === undefined) return;
    await this.task.run(async () => {
      const content = await readKeyFile(file);
      if (this.keyInput !== null) this.keyInput.value = content.pbxKey;
      this.connectorIdentity = content.connectorIdentity;
    });
    this.fileInput.value = "";
  }
}
