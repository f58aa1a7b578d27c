// The telephone: the consent, and then the features that the PBX offers. The page shows the state that the PBX
// reports, and receives changes as live updates.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, type Phone, type PhoneLine, type UciConsent } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import type { Surroundings } from "../host.js";
import { sectionStyles } from "../page-styles.js";
import "../phone-words.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { t } from "../words.js";
import "./phone-calls.js";
import "./phone-dial.js";
import type { Dialler } from "./phone-dial.js";
import type { Callee } from "./phone-shared.js";

@customElement("pbx-phone")
export class PhonePage extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    css`
      .columns {
        display: grid;
        gap: 0 16px;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr));
        align-items: start;
      }
      .off {
        max-width: 640px;
      }
    `,
  ];

  @property({ attribute: false }) surroundings!: Surroundings;
  @property() pbxName = "";
  /** Increased when changes may have been missed. */
  @property({ type: Number }) revision = 0;
  /** Increased when the connection to the PBX has changed. */
  @property({ type: Number }) connection = 0;
  /** The last live update. */
  @property({ attribute: false }) news: Phone | null = null;
  /** A number from a link: it is filled in, but not dialled. */
  @property() number = "";
  @state() private phone: Phone | null = null;
  @state() private asking = false;
  /** Whether the parts other than dialling and calls have been loaded. */
  @state() private hasMore = false;
  /** Counts live updates, because they are newer than the answer to an earlier request. */
  private heard = 0;
  private readonly task = new BusyController(this);
  @query("pbx-phone-dial") private dialler!: Dialler | null;

  override connectedCallback() {
    super.connectedCallback();
    void this.fetchMore();
  }

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("news") && this.news !== null) this.take(this.news);
    if (changed.has("revision") || changed.has("connection")) void this.load();
  }

  override render() {
    return html`
      <h1 tabindex="-1">${t("phone.title")}</h1>
      ${this.phone === null ? placeholder(this.task.trouble, () => this.load(), 640) : this.renderPhone(this.phone)}
    `;
  }

  private renderPhone(phone: Phone) {
    if (!phone.isOn) return this.renderOff();
    const line = phone.line ?? null;
    return html`<pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${line === null ? button({ label: t("app.retry"), onClick: () => void this.load() }) : this.renderLine(line)}`;
  }

  private renderLine(line: PhoneLine) {
    if (line.state === "refused") return this.renderOff("phone.refused");
    return html`
      ${
        line.state === "connecting"
          ? html`<pbx-message intent="warning" text=${t("phone.connecting")}></pbx-message>`
          : nothing
      }
      <div class="columns" @callee=${this.call} @phone-changed=${this.changed} @look=${() => void this.load()}>
        <div>
          <pbx-phone-dial .line=${line} .number=${this.number}></pbx-phone-dial>
          <pbx-phone-calls .line=${line}></pbx-phone-calls>
        </div>
        <div>${this.renderMore(line)}</div>
      </div>
      ${this.renderHistory(line)}
      <p class="hint">${t("phone.on-hint")}</p>
      <div class="actions">
        ${button({
          label: t(this.task.busy ? "phone.switching-off" : "phone.switch-off"),
          small: true,
          disabled: this.task.busy,
          onClick: () => void this.switchOff(),
        })}
      </div>
    `;
  }

  private renderMore(line: PhoneLine) {
    if (!this.hasMore) return html`<pbx-skeleton height="320"></pbx-skeleton>`;
    const { features } = line;
    const switches = features["do-not-disturb"] ?? features.redirects ?? features.mobiles ?? features["primary-phone"];
    return html`${switches ? html`<pbx-phone-switches .line=${line}></pbx-phone-switches>` : nothing}
      ${
        features.voicemail
          ? html`<pbx-phone-voicemail
              .fresh=${line.newVoicemails ?? null}
              .revision=${String(this.revision)}
              ?plays=${features.voicemail === "change"}
              ?dials=${features.dial === "change"}
            ></pbx-phone-voicemail>`
          : nothing
      } <pbx-phone-notices .revision=${String(this.revision)}></pbx-phone-notices>`;
  }

  /** Render the call list, which is read again when a call has ended. */
  private renderHistory(line: PhoneLine) {
    if (!this.hasMore || !line.features.history) return nothing;
    const ended = line.calls.filter((call) => call.state === "ended").map((call) => call.callId);
    return html`<div @callee=${this.call}>
      <pbx-phone-history
        .revision=${[this.revision, ...ended].join(" ")}
        ?dials=${line.features.dial === "change"}
      ></pbx-phone-history>
    </div>`;
  }

  private renderOff(why: "phone.refused" | null = null) {
    return html`<section class="card off" aria-labelledby="off">
      <h2 id="off">${t("phone.off-title")}</h2>
      ${why !== null ? html`<pbx-message intent="warning" text=${t(why)}></pbx-message>` : nothing}
      <p>${t("phone.off-text")}</p>
      <p class="hint">${t("phone.off-privacy")}</p>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      <br />
      ${
        this.asking
          ? html`<pbx-uci-consent
              purpose="pbx-phone.v1"
              submit=${t("phone.switch-on")}
              .pbxName=${this.pbxName}
              .surroundings=${this.surroundings}
              .prepare=${() => api.preparePhone()}
              .give=${(consent: UciConsent) => this.switchOn(consent)}
              @cancelled=${() => (this.asking = false)}
            ></pbx-uci-consent>`
          : button({ label: t("phone.switch-on-begin"), primary: true, onClick: () => void this.ask() })
      }
    </section>`;
  }

  private async ask() {
    await this.task.run(() => import("../uci-consent.js"));
    this.asking = this.task.trouble === null;
  }

  private async switchOn(consent: UciConsent) {
    this.phone = await api.switchPhoneOn(consent);
    this.asking = false;
    await this.updateComplete;
    this.dialler?.focusNumber();
  }

  private async switchOff() {
    await this.task.run(async () => (this.phone = await api.switchPhoneOff()));
  }

  private async load() {
    const { heard } = this;
    await this.task.load(api.phone(), (phone) => {
      if (heard === this.heard || this.phone === null) this.phone = phone;
    });
  }

  private async fetchMore() {
    await this.task.run(() => import("./phone-more.js"));
    this.hasMore = this.task.trouble === null;
  }

  /** Apply a live update. If it has no line, request the line, because the answer says why. */
  private take(news: Phone) {
    this.heard += 1;
    if (news.isOn && news.line === null) void this.load();
    else this.phone = news;
  }

  private changed(event: CustomEvent<Phone>) {
    this.phone = event.detail;
  }

  private call(event: CustomEvent<Callee>) {
    void this.dialler?.call(event.detail);
  }
}
