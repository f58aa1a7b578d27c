// What the connection page says first: one sentence, the cure, and the chain from Teams to the PBX with the part that
// fails.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { ConnectionReport } from "../api.js";
import { button } from "../button.js";
import { copyText } from "../clipboard.js";
import { keepFocus } from "../focus.js";
import { pageIcon } from "../page-icons.js";
import { shared } from "../styles.js";
import { confirmDone } from "../toasts.js";
import { t } from "../words.js";
import { chainOf, supportText, verdictOf } from "./connection-verdict.js";

@customElement("pbx-connection-chain")
export class ConnectionChain extends LitElement {
  static override styles = [
    shared,
    css`
      .card {
        margin-bottom: 16px;
        border-inline-start: 4px solid var(--colorNeutralStrokeAccessible);
      }
      .green {
        --edge: var(--colorStatusSuccessBorderActive, var(--colorPaletteGreenBorderActive));
      }
      .yellow {
        --edge: var(--colorStatusWarningBorderActive, var(--colorPaletteYellowBorderActive));
      }
      .red {
        --edge: var(--colorStatusDangerBorderActive, var(--colorPaletteRedBorderActive));
      }
      .off {
        --edge: var(--colorNeutralStrokeAccessible);
      }
      .card.green,
      .card.yellow,
      .card.red {
        border-inline-start-color: var(--edge);
      }
      .sentence {
        font-size: 18px;
        line-height: 26px;
        font-weight: 600;
        margin: 0 0 8px;
        overflow-wrap: anywhere;
      }
      ol {
        list-style: none;
        margin: 12px 0;
        padding: 0;
        display: flex;
      }
      li {
        flex: 1;
        min-width: 0;
        position: relative;
        display: flex;
        flex-direction: column;
        align-items: center;
        gap: 4px;
        text-align: center;
        overflow-wrap: anywhere;
      }
      /* The line to the part before. */
      li + li::before {
        content: "";
        position: absolute;
        inset-block-start: 21px;
        inset-inline-end: calc(50% + 28px);
        width: calc(100% - 56px);
        border-top: 2px solid var(--edge);
      }
      li.red::before,
      li.off::before {
        border-top-style: dashed !important;
      }
      .node {
        width: 40px;
        height: 40px;
        display: grid;
        place-items: center;
        border: 2px solid var(--edge);
        border-radius: var(--borderRadiusLarge, 6px);
        background: var(--colorNeutralBackground1);
      }
      li.off .node {
        border-style: dashed;
      }
      .name {
        font-weight: 600;
      }
      .state {
        font-size: 12px;
        line-height: 16px;
        color: var(--colorNeutralForeground2);
      }
      li.red .state,
      li.yellow .state {
        color: var(--colorNeutralForeground1);
        font-weight: 600;
      }
      @media (max-width: 600px) {
        ol {
          flex-direction: column;
          gap: 20px;
        }
        li {
          flex-direction: row;
          flex-wrap: wrap;
          text-align: start;
          gap: 4px 12px;
        }
        li + li::before {
          inset-block-start: -20px;
          inset-inline: 21px auto;
          width: 0;
          height: 20px;
          border-top: 0;
          border-inline-start: 2px solid var(--edge);
        }
        li.red::before,
        li.off::before {
          border-inline-start-style: dashed !important;
        }
      }
    `,
  ];

  @property({ attribute: false }) report!: ConnectionReport;

  constructor() {
    super();
    keepFocus(this);
  }

  override render() {
    const { health, part } = verdictOf(this.report);
    const finding = part?.finding;
    return html`<section class="card ${health}" aria-labelledby="verdict" data-health=${health}>
      <h2 class="sentence" id="verdict">${finding ? finding.title : t(`connection.verdict.${health}`)}</h2>
      ${
        finding
          ? html`<p>${finding.detail}</p>
              <p>${finding.cure}</p>`
          : nothing
      }
      <ol aria-label=${t("connection.chain")}>
        ${chainOf(this.report).map(
          ({ name, light }) =>
            html`<li class=${light} data-node=${name} data-light=${light}>
              <span class="node">${pageIcon(name === "uci" ? "phone" : name)}</span>
              <span class="name">${t(`connection.chain.${name}`)}</span>
              <span class="state">${t(`connection.light.${light}`)}</span>
            </li>`,
        )}
      </ol>
      ${button({ label: t("connection.copy"), id: "copy-for-support", onClick: () => void this.copy() })}
    </section>`;
  }

  private async copy() {
    const isCopied = await copyText(supportText(this.report));
    confirmDone(t(isCopied ? "app.copied" : "app.copy-failed"));
  }
}
