// What a table shows instead of rows: a sentence, and if filters hide everything, a button that removes them.
import { css, html, nothing } from "lit";
import { button } from "./button.js";

export const emptyStyles = css`
  .empty {
    padding: 24px 0;
    text-align: center;
  }
  .empty .actions {
    justify-content: center;
  }
`;

/** Render the empty state. `clear` removes the filters; null if there are none. */
export function renderEmpty(words: string, clear: { label: string; onClick: () => void } | null) {
  return html`<div class="empty">
    <p>${words}</p>
    ${clear === null ? nothing : html`<div class="actions">${button(clear)}</div>`}
  </div>`;
}
