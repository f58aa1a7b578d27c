// The current calls of a line: with whom, since when, and how they ended.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type PhoneCall, type PhoneLine } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { listStyles, sectionStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { rich, t, time, type Word } from "../words.js";
import { callThem, isLive, numberBelow, whom } from "./phone-shared.js";

const TICK_MS = 1_000;

@customElement("pbx-phone-calls")
export class PhoneCalls extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    listStyles,
    css`
      li {
        border-inline-start: 4px solid transparent;
        padding-inline-start: 8px;
      }
      li.live {
        border-inline-start-color: var(--colorCompoundBrandStroke);
      }
      .timer {
        font-variant-numeric: tabular-nums;
      }
    `,
  ];

  @property({ attribute: false }) line!: PhoneLine;
  @state() private now = Date.now();
  private readonly task = new BusyController(this);
  private ticking: ReturnType<typeof setInterval> | undefined;

  override connectedCallback() {
    super.connectedCallback();
    this.ticking = setInterval(() => {
      if (this.line.calls.some((call) => call.connectedAt && isLive(call))) this.now = Date.now();
    }, TICK_MS);
  }

  override disconnectedCallback() {
    clearInterval(this.ticking);
    super.disconnectedCallback();
  }

  override render() {
    const { calls } = this.line;
    return html`<section class="card" aria-labelledby="calls">
      <h2 id="calls">${t("phone.calls")}</h2>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${calls.length === 0 ? html`<p>${t("phone.no-calls")}</p>` : nothing}
      <ul aria-labelledby="calls">
        ${calls.map((call) => this.renderCall(call))}
      </ul>
      <p class="visually-hidden" role="status">${calls.map((call) => html`${said(call)}. `)}</p>
    </section>`;
  }

  private renderCall(call: PhoneCall) {
    return html`<li class=${isLive(call) ? "live" : ""} id="call-${call.callId}">
      <span class="name">
        <span>${said(call)}</span>
        ${numberBelow(call)}
        ${call.group ? html`<span class="below">${rich("phone.for-group", { group: html`<bdi>${call.group}</bdi>` })}</span>` : nothing}
        <span class="below">${this.since(call)}</span>
      </span>
      <span class="actions">${this.renderActions(call)}</span>
    </li>`;
  }

  private since(call: PhoneCall) {
    if (!call.connectedAt) return t("phone.since", { at: time(call.beganAt) });
    const ends = call.endedAt ? Date.parse(call.endedAt) : this.now;
    const seconds = Math.max(0, Math.floor((ends - Date.parse(call.connectedAt)) / 1000));
    return html`${t("phone.since", { at: time(call.beganAt) })},
      <span class="timer" role="timer" aria-live="off">${duration(seconds)}</span>`;
  }

  private renderActions(call: PhoneCall) {
    const { features } = this.line;
    const who = call.name || call.number || t("call.unknown");
    if (!isLive(call)) {
      if (features.dial !== "change" || call.number === "") return nothing;
      const label = t(call.direction === "out" ? "phone.dial-again" : "phone.call-back");
      return button({ label, small: true, ariaLabel: `${label}: ${who}`, onClick: () => callThem(this, call) });
    }
    if (features["hang-up"] !== "change") return nothing;
    const label = t(call.state === "ringing" ? "phone.reject" : "phone.hang-up");
    return button({
      label,
      small: true,
      ariaLabel: `${label}: ${who}`,
      disabled: this.task.busy,
      onClick: () => void this.task.run(() => api.hangUp(call.callId)),
    });
  }
}

/** Describe the state of a call. */
function said(call: PhoneCall) {
  const word: Word = call.state === "ended" ? `phone.end.${call.end ?? "unknown"}` : `phone.call.${call.state}`;
  return rich(word, { who: whom(call) });
}

/** Format a duration: "1:05", "1:02:03". */
export function duration(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = two(seconds % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}
