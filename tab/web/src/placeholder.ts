// A placeholder for missing content: a skeleton while it loads; after a failure, the reason and a button to try
// again.
import { LitElement, css, html } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { Trouble } from "./api.js";
import { button } from "./button.js";
import { shared } from "./styles.js";
import { t } from "./words.js";

/** Render a placeholder. `height` in pixels should match the content, so that nothing below it moves. */
export function placeholder(trouble: Trouble | null, retry: () => unknown, height: number) {
  return trouble === null
    ? html`<pbx-skeleton height=${height}></pbx-skeleton>`
    : html`<pbx-message .trouble=${trouble}></pbx-message>
        <div>${button({ label: t("app.retry"), onClick: () => void retry() })}</div>`;
}

@customElement("pbx-skeleton")
export class Skeleton extends LitElement {
  static override styles = [
    shared,
    css`
      .bars {
        overflow: hidden;
        display: flex;
        flex-direction: column;
        gap: 12px;
      }
      span {
        flex: none;
        height: 16px;
        border-radius: var(--borderRadiusMedium, 4px);
        background: var(--colorNeutralStencil1, rgba(128, 128, 128, 0.25));
        animation: breathe 1.5s ease-in-out infinite;
      }
      span:nth-child(3n) {
        width: 55%;
      }
      span:nth-child(3n + 1) {
        width: 35%;
      }
      @keyframes breathe {
        50% {
          opacity: 0.45;
        }
      }
      @media (prefers-reduced-motion: reduce) {
        span {
          animation: none;
        }
      }
      @media (forced-colors: active) {
        span {
          border: 1px solid;
        }
      }
    `,
  ];

  @property({ type: Number }) height = 200;

  override render() {
    const bars = Math.max(2, Math.floor(this.height / 28));
    return html`<p role="status" class="visually-hidden">${t("app.loading")}</p>
      <div class="bars" .style=${`height: ${this.height}px`} aria-hidden="true">
        ${Array.from({ length: bars }, () => html`<span></span>`)}
      </div>`;
  }
}
