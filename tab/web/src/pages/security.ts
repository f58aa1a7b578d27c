// Sign-in and security: how people of the administrator's organisation sign in, which organisations the PBX trusts,
// and how long a session lasts. Nothing takes effect before it is saved.
import { LitElement, html } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type HoldersChange, type Licences } from "../api.js";
import { BusyController } from "../busy.js";
import { sectionStyles } from "../page-styles.js";
import "../page-words.js";
import { Paced } from "../paced.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { t } from "../words.js";
import "./trust.js";
import "./trusted-tenants.js";

const PAUSE_MS = 3_000;
/** The settings come with the licence view; this page needs no rows of it. */
const NO_ROWS = {
  search: "",
  kind: "",
  unseenDays: 0,
  sort: "name",
  descending: false,
  offset: 0,
  limit: 1,
} as const;

@customElement("pbx-security")
export class Security extends LitElement {
  static override styles = [shared, sectionStyles];

  /** Increased when changes may have been missed. */
  @property({ type: Number }) revision = 0;
  /** Changes with what administrators of the PBX see. */
  @property({ attribute: false }) news: HoldersChange | null = null;
  @state() private view: Licences | null = null;
  private readonly task = new BusyController(this);
  private readonly reload = new Paced(this, () => void this.load(), PAUSE_MS);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision") && this.view === null) void this.load();
    else if (changed.has("revision") || (changed.has("news") && this.news !== null)) this.reload.ask();
  }

  override render() {
    return html`<h1>${t("security.title")}</h1>
      <p>${t("security.text")}</p>
      ${
        this.view === null
          ? placeholder(this.task.trouble, () => this.load(), 480)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>
              <pbx-trust .view=${this.view} @trust-changed=${this.load}></pbx-trust>
              <pbx-trusted-tenants .view=${this.view} @trust-changed=${this.load}></pbx-trusted-tenants>
              ${this.renderSessions(this.view.sessionDays)}`
      }`;
  }

  private renderSessions(days: number) {
    return html`<section class="card" aria-labelledby="sessions">
      <h2 id="sessions">${t("security.sessions")}</h2>
      <p id="session-days">${days > 0 ? t("security.session-days", { count: days }) : t("security.session-endless")}</p>
      <p class="hint">${t("security.session-hint")}</p>
    </section>`;
  }

  private async load() {
    await this.task.load(api.licences(NO_ROWS), (view) => (this.view = view));
  }
}
