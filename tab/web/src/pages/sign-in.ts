// Sign-in: first name and key of the PBX (typed, or by key file), then who one is there.
import { css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { ProblemError, api, ownTrouble, troubleOf, type MyState, type SignInChallenge, type Trouble } from "../api.js";
import type { Surroundings } from "../host.js";
import { field, fieldStyles } from "../field.js";
import { KeyFault, keyDigest, parseKey, readKeyFile } from "../pbxkey.js";
import { challengeSecret, isImpostor, seal, sealContext } from "../sealing.js";
import { shared } from "../styles.js";
import { askToTakeOver } from "../take-over.js";
import { dateTime, t } from "../words.js";
import { Entering } from "./entering.js";

/** What the first step has established; kept in memory until the sign-in is through. */
interface Access {
  pbxName: string;
  pbxKey: string;
  keyDigest: string;
  challenge: SignInChallenge;
}

/** Fluent's button is no default button of a form: Enter in a field needs a native one. */
const submitOnEnter = html`<button type="submit" hidden></button>`;

/** Where to put the cursor after a refusal. */
const FIELD_OF: Record<string, string> = {
  "name-missing": "pbx-name",
  "key-missing": "pbx-key",
  "malformed-key": "pbx-key",
  "wrong-key": "pbx-name",
  "login-missing": "login",
  "login-rejected": "password",
};

@customElement("pbx-sign-in")
export class SignInPage extends Entering {
  static override styles = [
    shared,
    fieldStyles,
    css`
      :host {
        max-width: 480px;
        margin: 0 auto;
      }
      form {
        display: flex;
        flex-direction: column;
        gap: 12px;
      }
      .drop {
        border: 2px dashed var(--colorNeutralStrokeAccessible);
        border-radius: var(--borderRadiusMedium, 4px);
        padding: 16px;
        text-align: center;
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
        align-items: center;
        justify-content: center;
      }
      .drop.over {
        border-color: var(--colorCompoundBrandStroke);
        background: var(--colorNeutralBackground1Hover);
      }
      .or {
        text-align: center;
        color: var(--colorNeutralForeground2);
        margin: 0;
      }
    `,
  ];

  @property({ attribute: false }) surroundings!: Surroundings;
  /** Below another way of signing in. */
  @property({ type: Boolean }) second = false;
  @state() private access: Access | null = null;
  @state() private notice = "";
  @state() private busy = false;
  @state() private dragging = false;
  /** The session that another Microsoft account holds, while the person is asked. */
  @state() private heldElsewhere: Trouble | null = null;
  @query("#pbx-name") private nameInput!: HTMLInputElement;
  @query("#pbx-key") private keyInput!: HTMLInputElement;
  @query("#login") private loginInput!: HTMLInputElement;
  @query("#password") private passwordInput!: HTMLInputElement;
  @query("#file") private fileInput!: HTMLInputElement;
  /** Id of the field that the trouble is about. */
  @state() private invalid = "";
  private connectorIdentity: string | null = null;
  private pbxName = "";
  private pbxKey = "";
  private byEmail = false;

  override render() {
    return html`
      <pbx-message .trouble=${this.trouble}></pbx-message>
      <pbx-message intent="success" text=${this.notice}></pbx-message>
      <div class="card">${this.access === null ? this.renderPbx() : this.renderUser(this.access)}</div>
    `;
  }

  private renderPbx() {
    return html`
      ${this.second ? html`<h2>${t("sign-in.second-title")}</h2>` : html`<h1 tabindex="-1">${t("sign-in.title")}</h1>`}
      <p>${t("sign-in.intro")}</p>
      <form novalidate @submit=${this.submitPbx}>
        ${submitOnEnter}
        ${field({
          id: "pbx-name",
          label: t("sign-in.pbx-name"),
          hint: t("sign-in.pbx-name-hint"),
          value: this.pbxName,
          invalid: this.invalid === "pbx-name",
        })}
        ${field({
          id: "pbx-key",
          label: t("sign-in.pbx-key"),
          hint: t("sign-in.pbx-key-hint"),
          value: this.pbxKey,
          invalid: this.invalid === "pbx-key",
        })}
        <p class="or">${t("sign-in.or")}</p>
        <div
          class="drop ${this.dragging ? "over" : ""}"
          @dragover=${this.dragOver}
          @dragleave=${() => (this.dragging = false)}
          @drop=${this.drop}
        >
          <span>${t("sign-in.drop")}</span>
          <fluent-button role="button" type="button" @click=${() => this.fileInput.click()}
            >${t("sign-in.choose")}</fluent-button
          >
          <input id="file" type="file" hidden accept=".pbxkey,.json,application/json" @change=${this.chooseFile} />
        </div>
        <div class="actions">
          <fluent-button
            role="button"
            type="submit"
            appearance="primary"
            ?disabled=${this.busy}
            aria-disabled=${this.busy}
          >
            ${this.busy ? t("sign-in.checking") : t("sign-in.continue")}
          </fluent-button>
        </div>
      </form>
    `;
  }

  private renderUser(access: Access) {
    const privacy = access.challenge.method === "challenge" ? "sign-in.privacy-challenge" : "sign-in.privacy-sealed";
    return html`
      <h1 tabindex="-1" id="user-title">${t("sign-in.user-title", { pbxName: access.pbxName })}</h1>
      ${
        access.challenge.keyGoodUntil
          ? html`<pbx-message
              id="old-key"
              intent="warning"
              text=${t("sign-in.old-key", { until: dateTime(access.challenge.keyGoodUntil) })}
            ></pbx-message>`
          : nothing
      }
      ${
        this.heldElsewhere !== null
          ? askToTakeOver(
              this.heldElsewhere,
              this.busy,
              () => void this.signIn(true),
              () => (this.heldElsewhere = null),
            )
          : nothing
      }
      <form novalidate @submit=${this.submitUser} ?hidden=${this.heldElsewhere !== null}>
        ${submitOnEnter}
        ${
          access.challenge.emailOffered
            ? html`<p class="hint">${t("sign-in.by-email-hint")}</p>
                <fluent-button
                  role="button"
                  type="button"
                  appearance="primary"
                  ?disabled=${this.busy}
                  aria-disabled=${this.busy}
                  @click=${this.signInByEmail}
                >
                  ${t("sign-in.by-email", { email: access.challenge.email })}
                </fluent-button>
                <p class="or">${t("sign-in.or")}</p>`
            : nothing
        }
        ${field({
          id: "login",
          label: t("sign-in.login"),
          hint: t("sign-in.login-hint"),
          autocomplete: "username",
          invalid: this.invalid === "login",
        })}
        ${field({
          id: "password",
          label: t("sign-in.password"),
          hint: t(privacy),
          type: "password",
          autocomplete: "current-password",
          invalid: this.invalid === "password",
        })}
        <div class="actions">
          <fluent-button
            role="button"
            type="submit"
            appearance="primary"
            ?disabled=${this.busy}
            aria-disabled=${this.busy}
          >
            ${this.busy ? t("sign-in.submitting") : t("sign-in.submit")}
          </fluent-button>
          <fluent-button
            role="button"
            type="button"
            ?disabled=${this.busy}
            aria-disabled=${this.busy}
            @click=${this.back}
            >${t("sign-in.back")}</fluent-button
          >
        </div>
      </form>
    `;
  }

  private async submitPbx(event: Event) {
    event.preventDefault();
    this.pbxName = this.nameInput.value.trim();
    this.pbxKey = this.keyInput.value;
    if (this.pbxName === "") return this.fail(ownTrouble("name-missing"));
    if (this.pbxKey.trim() === "") return this.fail(ownTrouble("key-missing"));
    await this.working(async () => {
      const key = await parseKey(this.pbxKey);
      this.access = await this.prepare(this.pbxName, key);
      this.notice = "";
      await this.updateComplete;
      this.renderRoot.querySelector<HTMLElement>("#user-title")?.focus();
    });
  }

  private async prepare(pbxName: string, pbxKey: string): Promise<Access> {
    const digest = await keyDigest(pbxKey);
    const challenge = await api.prepareSignIn({ pbxName, keyDigest: digest });
    if (await isImpostor(this.connectorIdentity, challenge)) throw new ProblemError(ownTrouble("impostor"));
    return { pbxName: challenge.pbxName, pbxKey, keyDigest: digest, challenge };
  }

  private async submitUser(event: Event) {
    event.preventDefault();
    if (this.loginInput.value.trim() === "" || this.passwordInput.value === "") {
      return this.fail(ownTrouble("login-missing"));
    }
    this.byEmail = false;
    await this.signIn(false);
  }

  private async signInByEmail() {
    this.byEmail = true;
    await this.signIn(false);
  }

  private async signIn(takeOver: boolean) {
    await this.working(async () => {
      const access = this.access;
      if (access === null) return;
      let state: MyState;
      try {
        state = await this.attempt(access, takeOver);
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error;
        // A challenge is good once: whatever comes next needs another.
        this.access = await this.prepare(access.pbxName, access.pbxKey).catch(() => access);
        if (error.trouble.code === "session-held-elsewhere") {
          this.heldElsewhere = error.trouble;
          return;
        }
        if (error.trouble.code !== "challenge-expired") throw error;
        state = await this.attempt(this.access, takeOver);
      }
      this.dispatchEvent(new CustomEvent<MyState>("signed-in", { detail: state, bubbles: true, composed: true }));
    });
    if (this.heldElsewhere !== null) {
      await this.updateComplete;
      this.renderRoot.querySelector<HTMLElement>("#take-over")?.focus();
    }
  }

  private async attempt(access: Access, takeOver: boolean): Promise<MyState> {
    const { challenge, pbxName, keyDigest: digest } = access;
    const common = { pbxName, keyDigest: digest, takeOver };
    if (this.byEmail) return api.signIn({ ...common, proof: { method: "email" } });
    const login = this.loginInput.value.trim();
    const password = this.passwordInput.value;
    const { nonce } = challenge;
    if (challenge.method === "challenge") {
      const secret = await challengeSecret(login, nonce, password);
      return api.signIn({ ...common, proof: { method: "challenge", nonce, secret } });
    }
    const { tenantId, objectId } = this.surroundings;
    const context = sealContext("pbx-login.v1", pbxName, tenantId, objectId, nonce);
    const box = await seal(challenge.sealingKey, access.pbxKey, JSON.stringify({ login, password }), context);
    return api.signIn({ ...common, proof: { method: "sealed", nonce, box } });
  }

  private async working(run: () => Promise<void>) {
    if (this.busy) return;
    this.busy = true;
    this.trouble = null;
    this.invalid = "";
    try {
      await run();
    } catch (error) {
      this.heldElsewhere = null;
      this.fail(error instanceof KeyFault ? ownTrouble(error.code) : troubleOf(error));
    } finally {
      this.busy = false;
    }
  }

  private fail(trouble: Trouble) {
    this.trouble = trouble;
    this.notice = "";
    this.invalid = FIELD_OF[trouble.code] ?? "";
    this.renderRoot.querySelector<HTMLElement>(`#${this.invalid || "none"}`)?.focus();
  }

  private back() {
    this.access = null;
    this.trouble = null;
    this.invalid = "";
    this.heldElsewhere = null;
  }

  private dragOver(event: DragEvent) {
    event.preventDefault();
    this.dragging = true;
  }

  private async drop(event: DragEvent) {
    event.preventDefault();
    this.dragging = false;
    await this.takeFile(event.dataTransfer?.files[0]);
  }

  private async chooseFile() {
    await this.takeFile(this.fileInput.files?.[0]);
    this.fileInput.value = "";
  }

  private async takeFile(file: File | undefined) {
    if (file === undefined) return;
    await this.working(async () => {
      const content = await readKeyFile(file);
      this.pbxName = this.nameInput.value = content.pbxName;
      this.pbxKey = this.keyInput.value = content.pbxKey;
      this.connectorIdentity = content.connectorIdentity;
      this.notice = t("sign-in.file-taken");
    });
  }
}
