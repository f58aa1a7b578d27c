// The user's own state: PBX user, licence and connection.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { api, type ConnectionState, type MyState, type Trouble } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { Part } from "../part.js";
import { person as name } from "../person.js";
import { forgetKeys } from "../session-key.js";
import { shared } from "../styles.js";
import { dateTime, t, type Word } from "../words.js";

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
      pbx-notices,
      .part {
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
  private readonly task = new BusyController(this);
  private readonly notices = new Part(this, () => import("./notices.js"));

  override connectedCallback() {
    super.connectedCallback();
    void this.notices.load();
  }

  override render() {
    const { person, licence, connection } = this.state;
    if (!person || !licence || !connection) return nothing;
    return html`
      <h1 tabindex="-1">${t("state.title")}</h1>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
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
      <div class="cards">
        <section class="card" aria-labelledby="person">
          <h2 id="person">${t("state.person")}</h2>
          <dl>
            <dt>${t("state.name")}</dt>
            <dd>${name(person.displayName)}</dd>
            <dt>${t("state.login")}</dt>
            <dd>${person.login}</dd>
            <dt>${t("state.email")}</dt>
            <dd>${person.email || t("state.unknown")}</dd>
            <dt>${t("state.role")}</dt>
            <dd>${person.isAdministrator ? t("state.administrator") : t("state.user")}</dd>
          </dl>
        </section>
        <section class="card" aria-labelledby="licence">
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
                  ? t("state.seats-value", { used: licence.seatsUsed, total: licence.seatsTotal })
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
          label: t(this.task.busy ? "state.signing-out" : "state.sign-out"),
          disabled: this.task.busy,
          onClick: () => this.signOut(),
        })}
        ${button({ label: t("offers.elsewhere"), disabled: this.task.busy, onClick: () => this.goElsewhere() })}
      </div>
      ${
        this.notices.ready
          ? html`<pbx-notices ?administrator=${person.isAdministrator}></pbx-notices>`
          : html`<div class="part">${this.notices.placeholder(280)}</div>`
      }
    `;
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

  private goElsewhere() {
    this.dispatchEvent(new CustomEvent("elsewhere", { bubbles: true, composed: true }));
  }

  private async signOut() {
    await this.task.run(async () => {
      // Before the answer, because the stream may tell of it first.
      forgetKeys();
      const detail = await api.signOut();
      this.dispatchEvent(new CustomEvent<MyState>("signed-out", { detail, bubbles: true, composed: true }));
    });
  }
}

function renderConnection(connection: ConnectionState) {
  const words = connection.connected ? t("state.connected") : t("state.not-connected");
  return html`<section class="card" aria-labelledby="connection">
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
