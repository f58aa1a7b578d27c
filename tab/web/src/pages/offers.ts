// PBXs that need no key: sign-in with one click or automatically, and switching between PBXs.
import { css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ProblemError, api, type MyState, type PbxOffer, type Trouble } from "../api.js";
import { button } from "../button.js";
import { shared } from "../styles.js";
import { askToTakeOver } from "../take-over.js";
import { t } from "../words.js";
import { Entering } from "./entering.js";

@customElement("pbx-offers")
export class Offers extends Entering {
  static override styles = [
    shared,
    css`
      :host {
        margin-bottom: 16px;
      }
      /* Above the sign-in with name and key: as wide as that. */
      :host(:not([current])) {
        max-width: 480px;
        margin: 0 auto 16px;
      }
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
        display: flex;
        flex-direction: column;
        gap: 8px;
      }
      li {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 12px;
        align-items: center;
      }
    `,
  ];

  @property({ attribute: false }) offers: readonly PbxOffer[] = [];
  /** Name of the PBX at which the user is signed in; empty if there is none. */
  @property() current = "";
  /** Name of the PBX at which sign-in is in progress. */
  @state() private entering = "";
  /** A session of another Microsoft account at this PBX, while the user is asked whether to take it over. */
  @state() private held: { pbxName: string; trouble: Trouble } | null = null;

  protected override firstUpdated() {
    const automatic = this.offers.find((offer) => offer.automatic);
    if (automatic && this.current === "") void this.enter(automatic.pbxName, { byItself: true });
  }

  override render() {
    const others = this.offers.filter((offer) => offer.pbxName !== this.current);
    if (others.length === 0 && this.task.trouble === null) return nothing;
    return html`<section class="card" aria-labelledby="offers">
      ${
        this.current === ""
          ? html`<h1 tabindex="-1" id="offers">${t("offers.title")}</h1>
              <p>${t("offers.intro")}</p>`
          : html`<h2 id="offers">${t("offers.switch-title")}</h2>
              <p>${t("offers.switch-intro", { pbxName: this.current })}</p>`
      }
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${this.held === null ? this.renderOffers(others) : this.renderHeld(this.held)}
      <p role="status" class="visually-hidden">
        ${this.entering === "" ? nothing : t("offers.entering", { pbxName: this.entering })}
      </p>
    </section>`;
  }

  private renderOffers(offers: readonly PbxOffer[]) {
    const word = this.current === "" ? "offers.enter" : "offers.switch";
    return html`<ul>
      ${offers.map(({ pbxName, isPrimary, asksConsent }, index) => {
        const entering = this.entering === pbxName;
        return html`<li>
          ${button({
            label: t(entering ? "offers.entering" : word, { pbxName }),
            primary: this.current === "" && index === 0,
            disabled: this.entering !== "",
            onClick: () => this.enter(pbxName),
          })}
          ${isPrimary ? html`<span class="hint">${t("offers.primary")}</span>` : nothing}
          ${asksConsent ? html`<span class="hint">${t("offers.automatic")}</span>` : nothing}
        </li>`;
      })}
    </ul>`;
  }

  private renderHeld({ pbxName, trouble }: { pbxName: string; trouble: Trouble }) {
    const yes = () => void this.enter(pbxName, { takeOver: true });
    return askToTakeOver(trouble, this.entering !== "", yes, () => (this.held = null));
  }

  private async enter(pbxName: string, how: { byItself?: boolean; takeOver?: boolean } = {}) {
    if (this.task.busy) return;
    this.entering = pbxName;
    const { byItself = false, takeOver = false } = how;
    const held = this.held;
    const outcome = await this.task.run(async () => {
      let detail: MyState;
      try {
        detail = await api.signInWithoutKey({ pbxName, byItself, takeOver });
      } catch (error) {
        if (!(error instanceof ProblemError) || error.trouble.code !== "session-held-elsewhere") throw error;
        this.held = { pbxName, trouble: error.trouble };
        return;
      }
      this.held = null;
      this.dispatchEvent(new CustomEvent<MyState>("signed-in", { detail, bubbles: true, composed: true }));
    });
    this.entering = "";
    if (outcome === "failed") this.held = null;
    if (outcome === "failed" || this.held !== held) {
      this.dispatchEvent(new CustomEvent("not-entered", { bubbles: true, composed: true }));
    }
    if (this.held !== null) {
      await this.updateComplete;
      this.renderRoot.querySelector<HTMLElement>("#take-over")?.focus();
    }
  }
}
