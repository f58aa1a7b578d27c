// Sign-in: first the PBX name and key (typed, or from a key file), then the PBX user.
import { css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { ProblemError, api, ownTrouble, type MyState, type SignInChallenge, type Trouble } from "../api.js";
import { button } from "../button.js";
import type { Surroundings } from "../host.js";
import { field, fieldStyles } from "../field.js";
import { keyDigest, parseKey, readKeyFile, type KeyFile } from "../pbxkey.js";
import { pbxNameOf } from "../pbx-name.js";
import { isKnownToSeal, rememberSealing } from "../sealed-before.js";
import { challengeSecret, isDowngrade, isImpostor, seal, sealContext, sealLogin, type Purpose } from "../sealing.js";
import { placeholder } from "../placeholder.js";
import { forgetSignIn, lastSignIn, rememberSignIn, type LastSignIn } from "../remembered.js";
import { rememberKey } from "../session-key.js";
import { tickStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { askToTakeOver } from "../take-over.js";
import { person } from "../person.js";
import { dateTime, rich, t } from "../words.js";
import { Entering } from "./entering.js";

/** The result of the first step; kept in memory until sign-in is complete. */
interface Access {
  pbxName: string;
  pbxKey: string;
  keyDigest: string;
  challenge: SignInChallenge;
}

const PRIVACY = {
  challenge: "sign-in.privacy-challenge",
  "sealed-challenge": "sign-in.privacy-answer",
  sealed: "sign-in.privacy-sealed",
} as const;

/** The methods that this tab supports in addition to those of the first version. */
const METHODS = ["sealed-challenge"];

/** Codes that mean the same to people. A key that is no longer valid gets one of them. */
const NO_SUCH_KEY: readonly string[] = ["wrong-key", "unknown-pbx"];

/** Fluent's button cannot be the default button of a form, so Enter in a field needs a native one. */
const submitOnEnter = html`<button type="submit" hidden></button>`;

@customElement("pbx-sign-in")
export class SignInPage extends Entering {
  static override styles = [
    shared,
    fieldStyles,
    tickStyles,
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
  /** Whether the form is shown below another sign-in method. */
  @property({ type: Boolean }) second = false;
  /** Somewhere else than last time. */
  @property({ type: Boolean }) elsewhere = false;
  /** The person's name in Teams. */
  @property() name = "";
  @state() private access: Access | null = null;
  @state() private notice = "";
  @state() private dragging = false;
  /** A session of another Microsoft account, while the user is asked whether to take it over. */
  @state() private heldElsewhere: Trouble | null = null;
  @query("#pbx-name") private nameInput!: HTMLInputElement;
  @query("#pbx-key") private keyInput!: HTMLInputElement;
  @query("#login") private loginInput!: HTMLInputElement;
  @query("#password") private passwordInput!: HTMLInputElement;
  @query("#file") private fileInput!: HTMLInputElement;
  private keyFile: KeyFile | null = null;
  private pbxName = "";
  private pbxKey = "";
  private byEmail = false;
  private last: LastSignIn | null = null;
  /** Asking for what was remembered: there is nothing to type before that is answered. */
  @state() private resuming = false;

  override connectedCallback() {
    super.connectedCallback();
    if (this.elsewhere) return;
    this.last = lastSignIn(this.surroundings);
    this.pbxName = this.last?.pbxName ?? "";
    if (this.last?.pbxKey && !this.second) void this.resume(this.last.pbxKey);
  }

  override render() {
    return html`
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      <pbx-message intent="success" text=${this.notice}></pbx-message>
      <div class="card">
        ${
          this.resuming
            ? html`<h1 tabindex="-1">${t("sign-in.title")}</h1>
                ${placeholder(null, () => undefined, 320)}`
            : this.access === null
              ? this.renderPbx()
              : this.renderUser(this.access)
        }
      </div>
    `;
  }

  private renderPbx() {
    const { busy, invalid } = this.task;
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
          invalid: invalid === "pbx-name",
        })}
        ${field({
          id: "pbx-key",
          label: t("sign-in.pbx-key"),
          hint: t("sign-in.pbx-key-hint"),
          value: this.pbxKey,
          invalid: invalid === "pbx-key",
        })}
        <p class="or">${t("sign-in.or")}</p>
        <div
          class="drop ${this.dragging ? "over" : ""}"
          @dragover=${this.dragOver}
          @dragleave=${() => (this.dragging = false)}
          @drop=${this.drop}
        >
          <span>${t("sign-in.drop")}</span>
          ${button({ label: t("sign-in.choose"), onClick: () => this.fileInput.click() })}
          <input id="file" type="file" hidden accept=".pbxkey,.json,application/json" @change=${this.chooseFile} />
        </div>
        <div class="actions">
          ${button({
            label: t(busy ? "sign-in.checking" : "sign-in.continue"),
            primary: true,
            submit: true,
            disabled: busy,
          })}
        </div>
      </form>
    `;
  }

  private renderUser(access: Access) {
    const { busy, invalid } = this.task;
    const { method, keyGoodUntil, firstUse } = access.challenge;
    const privacy = PRIVACY[method];
    const { pbxName } = access;
    const warnings: [string, string][] = [];
    if (keyGoodUntil) warnings.push(["old-key", t("sign-in.old-key", { until: dateTime(keyGoodUntil) })]);
    if (firstUse) warnings.push(["first-use", t("sign-in.first-use", { pbxName })]);
    if (method === "challenge") warnings.push(["old-connector", t("sign-in.old-connector", { pbxName })]);
    return html`
      ${
        this.isBack(access)
          ? html`<h1 tabindex="-1" id="user-title">${rich("sign-in.welcome-back", { name: person(this.name) })}</h1>
              <p id="welcome">${t("sign-in.welcome-text", { pbxName, login: this.last?.login ?? "" })}</p>`
          : html`<h1 tabindex="-1" id="user-title">${t("sign-in.user-title", { pbxName })}</h1>`
      }
      ${warnings.map(([id, text]) => html`<pbx-message id=${id} intent="warning" text=${text}></pbx-message>`)}
      ${
        this.heldElsewhere !== null
          ? askToTakeOver(
              this.heldElsewhere,
              busy,
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
                ${button({
                  label: t("sign-in.by-email", { email: access.challenge.email }),
                  primary: true,
                  disabled: busy,
                  onClick: () => void this.signInByEmail(),
                })}
                <p class="or">${t("sign-in.or")}</p>`
            : nothing
        }
        ${field({
          id: "login",
          label: t("sign-in.login"),
          hint: t("sign-in.login-hint"),
          value: this.last?.pbxName === pbxName ? this.last.login : "",
          autocomplete: "username",
          invalid: invalid === "login",
        })}
        ${field({
          id: "password",
          label: t("sign-in.password"),
          hint: t(privacy),
          type: "password",
          autocomplete: "current-password",
          invalid: invalid === "password",
        })}
        <label
          ><input
            id="remember"
            type="checkbox"
            aria-describedby="remember-hint"
            .checked=${this.last?.kept ?? false}
          />${t("sign-in.remember")}</label
        >
        <p class="hint" id="remember-hint">${t("sign-in.remember-hint")}</p>
        ${this.offersPhone(access) ? this.renderPhone() : nothing}
        <div class="actions">
          ${button({
            label: t(busy ? "sign-in.submitting" : "sign-in.submit"),
            primary: true,
            submit: true,
            disabled: busy,
          })}
          ${button({
            label: t(this.isBack(access) ? "sign-in.another" : "sign-in.back"),
            disabled: busy,
            onClick: () => this.back(),
          })}
        </div>
      </form>
    `;
  }

  /** They have been here before: all but the password is known. */
  private isBack({ pbxName }: Access): boolean {
    return this.last !== null && this.last.pbxName === pbxName && this.last.pbxKey !== "" && this.name !== "";
  }

  /** Continue with the remembered key. If it is no longer valid, forget it, and let the person type it. */
  private async resume(pbxKey: string) {
    this.resuming = true;
    const outcome = await this.task.run(async () => (this.access = await this.prepare(this.pbxName, pbxKey)));
    this.resuming = false;
    if (outcome !== "done" && NO_SUCH_KEY.includes(this.task.trouble?.code ?? "")) forgetSignIn();
    const rest = this.renderRoot as ShadowRoot;
    await this.updateComplete;
    if (rest.activeElement === null && rest.host.matches(":focus-within")) {
      this.renderRoot.querySelector<HTMLElement>("h1")?.focus();
    }
  }

  private offersPhone({ challenge }: Access): boolean {
    return (challenge.capabilities ?? []).includes("telephone");
  }

  private renderPhone() {
    return html`<label
        ><input id="use-phone" type="checkbox" aria-describedby="use-phone-hint" />${t("sign-in.use-phone")}</label
      >
      <p class="hint" id="use-phone-hint">${t("sign-in.use-phone-hint")}</p>`;
  }

  /**
   * Switch the telephone on, if the user consented, while the password is available. If that fails, the
   * telephone's page asks again and says why.
   */
  private async switchPhoneOn(access: Access) {
    if (this.byEmail || !this.renderRoot.querySelector<HTMLInputElement>("#use-phone")?.checked) return;
    try {
      const prepared = await api.preparePhone();
      if (await isImpostor(access.challenge.connectorIdentity, prepared)) return;
      const password = this.passwordInput.value;
      await api.switchPhoneOn(await sealLogin("pbx-phone.v1", prepared, this.surroundings, access.pbxKey, password));
    } catch {
      return;
    }
  }

  private async submitPbx(event: Event) {
    event.preventDefault();
    this.pbxKey = this.keyInput.value;
    if (this.nameInput.value.trim() === "") return this.fail(ownTrouble("name-missing"));
    const name = pbxNameOf(this.nameInput.value);
    if (name === null) return this.fail(ownTrouble("pbx-name-invalid"));
    this.pbxName = this.nameInput.value = name;
    if (this.pbxKey.trim() === "") return this.fail(ownTrouble("key-missing"));
    this.notice = "";
    await this.goOn();
  }

  private async goOn() {
    await this.working(async () => {
      const key = await parseKey(this.pbxKey);
      this.access = await this.prepare(this.pbxName, key);
      await this.updateComplete;
      this.renderRoot.querySelector<HTMLElement>("#user-title")?.focus();
    });
  }

  private async prepare(pbxName: string, pbxKey: string): Promise<Access> {
    const digest = await keyDigest(pbxKey);
    const challenge = await api.prepareSignIn({ pbxName, keyDigest: digest, methods: METHODS });
    const keyFile = await this.keyFileOf(pbxName, pbxKey);
    if (await isImpostor(keyFile?.connectorIdentity ?? null, challenge)) throw new ProblemError(ownTrouble("impostor"));
    const seals = keyFile?.sealedOnly === true || isKnownToSeal(challenge.pbxName);
    if (isDowngrade(seals, challenge)) throw new ProblemError(ownTrouble("unsealed", { pbxName: challenge.pbxName }));
    if (challenge.method === "sealed-challenge") rememberSealing(challenge.pbxName);
    return { pbxName: challenge.pbxName, pbxKey, keyDigest: digest, challenge };
  }

  /** Return the key file, if its values are unchanged in the form. It does not apply to values typed over them. */
  private async keyFileOf(pbxName: string, pbxKey: string): Promise<KeyFile | null> {
    const { keyFile } = this;
    if (keyFile === null || pbxNameOf(keyFile.pbxName) !== pbxName) return null;
    return (await parseKey(keyFile.pbxKey)) === pbxKey ? keyFile : null;
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
        // A challenge can be used only once, so the next attempt needs a new one.
        this.access = await this.prepare(access.pbxName, access.pbxKey).catch(() => access);
        if (error.trouble.code === "session-held-elsewhere") {
          this.heldElsewhere = error.trouble;
          return;
        }
        if (error.trouble.code !== "challenge-expired") throw error;
        // The unsealed method needs its warning first: never fall back to it without the user noticing.
        if (this.access.challenge.method === "challenge" && access.challenge.method !== "challenge") throw error;
        state = await this.attempt(this.access, takeOver);
      }
      rememberKey(access.pbxName, access.pbxKey);
      this.remember(access, state);
      await this.switchPhoneOn(access);
      this.dispatchEvent(new CustomEvent<MyState>("signed-in", { detail: state, bubbles: true, composed: true }));
    });
    if (this.heldElsewhere !== null) {
      await this.updateComplete;
      this.renderRoot.querySelector<HTMLElement>("#take-over")?.focus();
    }
  }

  private remember({ pbxName, pbxKey }: Access, state: MyState) {
    const kept = this.renderRoot.querySelector<HTMLInputElement>("#remember")?.checked ?? false;
    const login = state.person?.login ?? "";
    rememberSignIn(this.surroundings, { pbxName, pbxKey, login, kept });
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
    const sealed = (purpose: Purpose, content: object) => {
      const { tenantId, objectId } = this.surroundings;
      const context = sealContext(purpose, pbxName, tenantId, objectId, nonce);
      return seal(challenge.sealingKey, access.pbxKey, JSON.stringify(content), context);
    };
    if (challenge.method === "sealed-challenge") {
      const secret = await challengeSecret(login, challenge.pbxNonce ?? "", password);
      const box = await sealed("pbx-answer.v1", { secret });
      return api.signIn({ ...common, proof: { method: "sealed-challenge", nonce, box } });
    }
    const box = await sealed("pbx-login.v1", { login, password });
    return api.signIn({ ...common, proof: { method: "sealed", nonce, box } });
  }

  private async working(run: () => Promise<void>) {
    if ((await this.task.run(run)) !== "failed") return;
    this.heldElsewhere = null;
    this.notice = "";
  }

  private fail(trouble: Trouble) {
    this.notice = "";
    this.task.fail(trouble);
  }

  private back() {
    if (this.access !== null && this.isBack(this.access)) this.pbxName = this.pbxKey = "";
    this.last = null;
    this.access = null;
    this.notice = "";
    this.task.trouble = null;
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
      this.last = null;
      this.pbxName = this.nameInput.value = content.pbxName;
      this.pbxKey = this.keyInput.value = content.pbxKey;
      this.keyFile = content;
      this.notice = t("sign-in.file-taken");
    });
    if (this.task.trouble === null) await this.goOn();
  }
}
