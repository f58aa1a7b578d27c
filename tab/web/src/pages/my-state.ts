// The overview: one sentence about the person's state, what to do next, the person, the licence, and the connection.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { ConnectionState, Licence, MyState, PbxPerson, Trouble } from "../api.js";
import { button } from "../button.js";
import { initialsOf } from "../frame/initials.js";
import { icon } from "../icons.js";
import { keepFocus } from "../focus.js";
import { person as name } from "../person.js";
import "../placeholder.js";
import { shared } from "../styles.js";
import { dateTime, t, type Word } from "../words.js";
import { nextSteps, situationOf, type NextStep } from "./situation.js";

/** The cards are drawn after this time even if nobody knows yet what comes above them. */
const LONGEST_WAIT_MS = 3_000;

@customElement("pbx-my-state")
export class MyStatePage extends LitElement {
  static override styles = [
    shared,
    css`
      .cards {
        display: grid;
        gap: 16px;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr));
        align-items: start;
      }
      .cards pbx-offers {
        margin-bottom: 0;
      }
      .situation {
        margin-bottom: 16px;
        border-inline-start: 4px solid var(--colorStatusSuccessBorderActive, var(--colorPaletteGreenBorderActive));
      }
      .situation.warning {
        border-inline-start-color: var(--colorStatusWarningBorderActive, var(--colorPaletteYellowBorderActive));
      }
      .situation.bad {
        border-inline-start-color: var(--colorStatusDangerBorderActive, var(--colorPaletteRedBorderActive));
      }
      .sentence {
        font-size: 18px;
        line-height: 26px;
        font-weight: 600;
        margin: 0;
        overflow-wrap: anywhere;
      }
      .situation .actions {
        margin-top: 12px;
      }
      .person {
        display: flex;
        gap: 12px;
        align-items: center;
        margin-bottom: 12px;
      }
      .face {
        flex: none;
        width: 48px;
        height: 48px;
        border-radius: 50%;
        display: grid;
        place-items: center;
        font-size: 16px;
        font-weight: 600;
        background: var(--colorBrandBackground2);
        color: var(--colorBrandForeground2);
      }
      .person h2 {
        margin: 0;
        overflow-wrap: anywhere;
      }
      .person p {
        margin: 0;
        overflow-wrap: anywhere;
      }
      .light {
        font-weight: 600;
        white-space: nowrap;
      }
      .light::before {
        content: "";
        display: inline-block;
        width: 10px;
        height: 10px;
        border-radius: 50%;
        margin-inline-end: 6px;
        background: var(--colorStatusDangerBackground3, #c50f1f);
      }
      .light.on::before {
        background: var(--colorStatusSuccessBackground3, #107c10);
      }
      .card > p:not(.sentence) {
        margin-bottom: 8px;
      }
      details dl {
        margin-top: 8px;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      li a {
        display: flex;
        gap: 10px;
        align-items: center;
        min-height: 32px;
        padding: 4px 0;
      }
      .icon {
        flex: none;
      }
    `,
  ];

  @property({ attribute: false }) state!: MyState;
  /** Whether the slot holds a list that may appear or stay empty; `checklist-known` tells that it has decided. */
  @property({ type: Boolean }) waits = false;
  /** Whether the cards are drawn. They come together with what is above them, so that they do not move. */
  @state() private settled = false;
  private longestWait: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    keepFocus(this);
    this.addEventListener("checklist-known", () => (this.settled = true));
  }

  override connectedCallback() {
    super.connectedCallback();
    this.longestWait = setTimeout(() => (this.settled = true), LONGEST_WAIT_MS);
  }

  override disconnectedCallback() {
    clearTimeout(this.longestWait);
    super.disconnectedCallback();
  }

  override willUpdate() {
    if (!this.waits) this.settled = true;
  }

  override render() {
    const { person, licence, connection } = this.state;
    if (!person || !licence || !connection) return nothing;
    return html`
      <h1 tabindex="-1">${t("state.title")}</h1>
      ${this.renderSituation()}
      ${connection.findings.map(
        (finding) =>
          html`<pbx-message intent=${finding.blocking ? "error" : "warning"} .trouble=${finding}></pbx-message>`,
      )}
      ${
        licence.endsBy
          ? html`<pbx-message
              id="ends-by"
              intent="warning"
              .text=${t("state.ends-by", { at: dateTime(licence.endsBy) })}
            ></pbx-message>`
          : nothing
      }
      ${this.state.endsAt ? this.renderEnds(this.state.endsAt) : nothing}
      ${person.needsPassword ? this.renderHint("needs-password", "state.sign-in-with-password") : nothing}
      ${licence.kind === "ADM" ? this.renderHint("administration", "state.sign-in-again") : nothing}
      <slot></slot>
      ${this.settled ? this.renderCards(person, licence, connection) : html`<pbx-skeleton height="480"></pbx-skeleton>`}
    `;
  }

  private renderCards(person: PbxPerson, licence: Licence, connection: ConnectionState) {
    return html`<div class="cards">
      ${this.renderPerson(person, licence, connection)} ${this.renderNext()}
      ${
        this.state.offers.some(({ pbxName }) => pbxName !== connection.pbxName)
          ? html`<pbx-offers .offers=${this.state.offers} current=${connection.pbxName}></pbx-offers>`
          : nothing
      }
    </div>`;
  }

  private renderSituation() {
    const { kind, health } = situationOf(this.state);
    const [first] = nextSteps(this.state);
    const values = { pbxName: this.state.connection?.pbxName ?? "" };
    return html`<section class="card situation ${health}" aria-label=${t("state.now")}>
      <p class="sentence" id="situation">
        ${kind === "audio" ? t(`audio.warning-${this.state.audio ?? "likely"}`) : t(`situation.${kind}`, values)}
      </p>
      ${
        first?.isUrgent
          ? html`<div class="actions">
              ${button({ label: t(kind === "audio" ? "audio.warning-show" : `next.${first.page}`), primary: true, onClick: () => this.go(first) })}
            </div>`
          : nothing
      }
    </section>`;
  }

  private renderPerson(person: PbxPerson, licence: Licence, connection: ConnectionState) {
    const isOn = connection.connected;
    return html`<section class="card" aria-labelledby="person">
      <div class="person">
        <span class="face" aria-hidden="true">${initialsOf(person.displayName)}</span>
        <div>
          <h2 id="person">${name(person.displayName)}</h2>
          <p>${person.login} · ${connection.pbxName}</p>
        </div>
      </div>
      <p>
        <span class="light ${isOn ? "on" : ""}" id="connected"
          >${isOn ? t("state.connected") : t("state.not-connected")}</span
        >
      </p>
      <p id="licence">
        ${t(`state.kind.${licence.kind}`)}${
          licence.seatsTotal > 0
            ? html` · ${t("state.in-use")}
                <span id="seats"
                  >${t("state.seats-value", { used: licence.seatsUsed, total: licence.seatsTotal })}</span
                >`
            : html` · <span id="seats">${t("state.no-seats")}</span>`
        }
      </p>
      <details>
        <summary>${t("state.details")}</summary>
        ${this.renderDetails(person, licence, connection)}
      </details>
    </section>`;
  }

  private renderDetails(person: PbxPerson, licence: Licence, connection: ConnectionState) {
    const facts: [Word, string][] = [
      ["state.email", person.email || t("state.unknown")],
      ["state.role", t(person.isAdministrator ? "state.administrator" : "state.user")],
      ["state.licence-since", dateTime(licence.since)],
      ["state.version", connection.pbxVersion ?? t("state.unknown")],
    ];
    if (connection.since) {
      facts.push([
        connection.connected ? "state.connected-since" : "state.not-connected-since",
        dateTime(connection.since),
      ]);
    }
    return html`<dl>
      ${facts.map(
        ([word, value]) =>
          html`<dt>${t(word)}</dt>
            <dd>${value}</dd>`,
      )}
    </dl>`;
  }

  /** Links to what the person can do now. */
  private renderNext() {
    return html`<section class="card" aria-labelledby="next">
      <h2 id="next">${t("next.title")}</h2>
      <ul>
        ${nextSteps(this.state).map(
          ({ page, icon: picture }) =>
            html`<li>
              <a href="#${page}">${icon(picture)}<span>${t(`next.${page}`)}</span></a>
            </li>`,
        )}
      </ul>
    </section>`;
  }

  private renderEnds(at: string) {
    return html`<pbx-message id="session-ends" intent="warning" .text=${t("state.session-ends", { at: dateTime(at) })}>
      ${button({ label: t("state.sign-in-again"), small: true, onClick: () => this.goElsewhere() })}
    </pbx-message>`;
  }

  /** Say what the session does not permit, and that signing in again helps. */
  private renderHint(hint: "needs-password" | "administration", action: Word) {
    const words = (part: "title" | "detail" | "cure") => t(`state.${hint}.${part}`);
    const trouble: Trouble = { code: hint, title: words("title"), detail: words("detail"), cure: words("cure") };
    return html`<pbx-message id=${hint} intent="warning" .trouble=${trouble}>
      ${button({ label: t(action), small: true, onClick: () => this.goElsewhere() })}
    </pbx-message>`;
  }

  private go({ page }: NextStep) {
    location.hash = page;
  }

  private goElsewhere() {
    this.dispatchEvent(new CustomEvent("elsewhere", { bubbles: true, composed: true }));
  }
}
