// The header: the product, help, and the person's menu.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { api, type MyState } from "../api.js";
import { BusyController } from "../busy.js";
import { icon } from "../icons.js";
import { Part } from "../part.js";
import { person } from "../person.js";
import { forgetKeys } from "../session-key.js";
import { shared } from "../styles.js";
import { t } from "../words.js";
import { initialsOf } from "./initials.js";

@customElement("pbx-header")
export class Header extends LitElement {
  static override styles = [
    shared,
    css`
      header {
        background: var(--colorNeutralBackground1);
        border-bottom: 1px solid var(--colorNeutralStroke2);
      }
      .row {
        max-width: 1068px;
        height: 48px;
        margin: 0 auto;
        padding: 0 16px;
        display: flex;
        align-items: center;
        gap: 8px;
        position: relative;
      }
      .mark {
        flex: none;
      }
      .product {
        flex: 1;
        font-weight: 600;
        white-space: nowrap;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      button {
        font: inherit;
        color: inherit;
        background: none;
        border: 0;
        padding: 0;
        cursor: pointer;
      }
      .round {
        flex: none;
        width: 32px;
        height: 32px;
        border-radius: 50%;
        display: grid;
        place-items: center;
      }
      .round:hover {
        background: var(--colorNeutralBackground1Hover);
      }
      .round:focus-visible {
        border-radius: 50%;
      }
      #account {
        background: var(--colorBrandBackground2);
        color: var(--colorBrandForeground2);
        border: 1px solid var(--colorTransparentStrokeInteractive, transparent);
        font-size: 12px;
        font-weight: 600;
      }
      /* Not text, because the button's name is the person's. */
      #account::before {
        content: attr(data-initials);
      }
      #menu {
        position: absolute;
        inset: 46px 0 auto auto;
        margin: 0;
        width: min(280px, calc(100vw - 32px));
        inset-inline-end: max(16px, calc((100vw - 1068px) / 2 + 16px));
        box-sizing: border-box;
        padding: 12px 4px 4px;
        color: inherit;
        background: var(--colorNeutralBackground1);
        border: 1px solid var(--colorNeutralStroke1);
        border-radius: var(--borderRadiusLarge, 6px);
        box-shadow: var(--shadow16, 0 4px 16px rgba(0, 0, 0, 0.3));
      }
      .who {
        padding: 0 12px 8px;
        overflow-wrap: anywhere;
      }
      .who strong {
        display: block;
      }
      .item {
        box-sizing: border-box;
        width: 100%;
        min-height: 36px;
        padding: 6px 12px;
        display: flex;
        align-items: center;
        gap: 10px;
        color: inherit;
        text-align: start;
        text-decoration: none;
        border-radius: var(--borderRadiusMedium, 4px);
      }
      .item:hover {
        background: var(--colorNeutralBackground1Hover);
      }
      .item .icon {
        flex: none;
      }
      pbx-message {
        margin: 0 8px;
      }
    `,
  ];

  @property({ attribute: false }) state: MyState | null = null;
  private readonly task = new BusyController(this);
  private readonly help = new Part(this, () => import("./help.js"));
  @query("#menu") private menu!: HTMLElement | null;
  @query("#account") private account!: HTMLElement | null;

  override render() {
    return html`<header>
      <div class="row">
        ${mark()}<span class="product">${t("app.title")}</span>
        <button class="round" id="help" aria-label=${t("help.open")} title=${t("help.open")} @click=${this.openHelp}>
          ${icon("help")}
        </button>
        ${this.state?.signedIn ? this.renderAccount(this.state) : nothing}
      </div>
      ${this.help.ready ? html`<pbx-help></pbx-help>` : nothing}
    </header>`;
  }

  private renderAccount({ person: user, teamsName, connection }: MyState) {
    const name = user?.displayName || teamsName;
    const initials = initialsOf(name) || "?";
    const { busy } = this.task;
    return html`<button
        class="round"
        id="account"
        popovertarget="menu"
        data-initials=${initials}
        aria-label=${t("account.open", { name })}
      ></button>
      <div id="menu" popover role="group" aria-label=${t("account.label")}>
        <div class="who">
          <strong>${person(name)}</strong>
          ${user?.login ?? ""} · ${connection?.pbxName ?? ""}
        </div>
        <pbx-message .trouble=${this.task.trouble}></pbx-message>
        <a class="item" href="#settings" @click=${this.close}>${icon("settings")}${t("nav.settings")}</a>
        <button class="item" @click=${this.goElsewhere}>${icon("swap")}${t("offers.elsewhere")}</button>
        <button class="item" aria-disabled=${busy} @click=${() => void this.signOut()}>
          ${icon("signOut")}${t(busy ? "state.signing-out" : "state.sign-out")}
        </button>
      </div>`;
  }

  private close() {
    this.menu?.hidePopover();
    // Browsers give the focus back only where it was outside of shadow trees.
    this.account?.focus();
  }

  private goElsewhere() {
    this.close();
    this.dispatchEvent(new CustomEvent("elsewhere", { bubbles: true, composed: true }));
  }

  private async signOut() {
    await this.task.run(async () => {
      // Before the answer, because the stream may report the end first.
      forgetKeys();
      const detail = await api.signOut();
      this.dispatchEvent(new CustomEvent<MyState>("signed-out", { detail, bubbles: true, composed: true }));
    });
  }

  private async openHelp() {
    await this.help.load();
    await this.updateComplete;
    this.renderRoot.querySelector<HTMLElement & { open(): void }>("pbx-help")?.open();
  }
}

/** Draw the product's mark, as in `public/icon.svg`. */
function mark() {
  return html`<svg class="mark" width="24" height="24" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="6" fill="#464775" />
    <path d="M8 17.5a9.5 7 0 0 1 16 0" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" />
    <rect x="5.5" y="16" width="5" height="6" rx="1.5" fill="#fff" />
    <rect x="21.5" y="16" width="5" height="6" rx="1.5" fill="#fff" />
    <circle cx="16" cy="7.5" r="2" fill="#fff" />
  </svg>`;
}
