// My state: who I am at the PBX, my licence, the connection.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, troubleOf, type ConnectionState, type MyState, type Trouble } from "../api.js";
import { button } from "../button.js";
import { shared } from "../styles.js";
import { dateTime, number, t } from "../words.js";

@customElement("pbx-my-state")
export class MyStatePage extends LitElement {
  static override styles = [
    shared,
    css`
      .cards {
        display: grid;
        gap: 16px;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr));
        margin-bottom: 16px;
      }
      .cards pbx-offers {
        margin-bottom: 0;
      }
      pbx-notices {
        margin-top: 16px;
      }
      .light::before {
        content: "";
        display: inline-block;
        width: 10px;
        height: 10px;
        border-radius: 50%;
        margin-inline-end: 8px;
        background: var(--colorStatusDangerBackground3, #c50f1f);
      }
      .light.on::before {
        background: var(--colorStatusSuccessBackground3, #107c10);
      }
    `,
  ];

  @property({ attribute: false }) state!: MyState;
  @state() private trouble: Trouble | null = null;
  @state() private busy = false;

  override connectedCallback() {
    super.connectedCallback();
    void import("./notices.js");
  }

  override render() {
    const { person, licence, connection } = this.state;
    if (!person || !licence || !connection) return nothing;
    return html`
      <h1 tabindex="-1">${t("state.title")}</h1>
      <pbx-message .trouble=${this.trouble}></pbx-message>
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
      <div class="cards">
        <section class="card" aria-labelledby="person">
          <h2 id="person">${t("state.person")}</h2>
          <dl>
            <dt>${t("state.name")}</dt>
            <dd>${person.displayName}</dd>
            <dt>${t("state.login")}</dt>
            <dd>${person.login}</dd>
            <dt>${t("state.email")}</dt>
            <dd>${person.email || t("state.unknown")}</dd>
            <dt>${t("state.role")}</dt>
            <dd>${person.isAdministrator ? t("state.administrator") : t("state.user")}</dd>
          </dl>
        </section>
        <section class="card" aria-labelledby="licence" aria-live="polite">
          <h2 id="licence">${t("state.licence")}</h2>
          <dl>
            <dt>${t("state.kind")}</dt>
            <dd>${t(`state.kind.${licence.kind}`)}</dd>
            <dt>${t("state.since")}</dt>
            <dd>${dateTime(licence.since)}</dd>
            <dt>${t("state.seats")}</dt>
            <dd id="seats">
              ${
                licence.seatsTotal > 0
                  ? t("state.seats-value", { used: number(licence.seatsUsed), total: number(licence.seatsTotal) })
                  : t("state.no-seats")
              }
            </dd>
          </dl>
        </section>
        ${renderConnection(connection)}
        <pbx-offers .offers=${this.state.offers} current=${connection.pbxName}></pbx-offers>
      </div>
      <div class="actions">
        ${button({
          label: t(this.busy ? "state.signing-out" : "state.sign-out"),
          disabled: this.busy,
          onClick: () => this.signOut(),
        })}
        ${button({ label: t("offers.elsewhere"), disabled: this.busy, onClick: () => this.goElsewhere() })}
      </div>
      <pbx-notices ?administrator=${person.isAdministrator}></pbx-notices>
    `;
  }

  private goElsewhere() {
    this.dispatchEvent(new CustomEvent("elsewhere", { bubbles: true, composed: true }));
  }

  private async signOut() {
    this.busy = true;
    this.trouble = null;
    try {
      const state = await api.signOut();
      this.dispatchEvent(new CustomEvent<MyState>("signed-out", { detail: state, bubbles: true, composed: true }));
    } catch (error) {
      this.trouble = troubleOf(error);
    } finally {
      this.busy = false;
    }
  }
}

function renderConnection(connection: ConnectionState) {
  const words = connection.connected ? t("state.connected") : t("state.not-connected");
  return html`<section class="card" aria-labelledby="connection" aria-live="polite">
    <h2 id="connection">${t("state.connection")}</h2>
    <dl>
      <dt>${t("state.pbx")}</dt>
      <dd>${connection.pbxName}</dd>
      <dt>${t("state.connection")}</dt>
      <dd class="light ${connection.connected ? "on" : ""}" id="connected">${words}</dd>
      ${
        connection.since
          ? html`<dt>${t("state.since")}</dt>
              <dd>${dateTime(connection.since)}</dd>`
          : nothing
      }
      <dt>${t("state.version")}</dt>
      <dd>${connection.pbxVersion ?? t("state.unknown")}</dd>
    </dl>
  </section>`;
}
