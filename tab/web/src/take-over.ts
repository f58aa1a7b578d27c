// Asks whether to take over a session of another Microsoft account.
import { html } from "lit";
import type { Trouble } from "./api.js";
import { button } from "./button.js";
import { t } from "./words.js";

export function askToTakeOver(held: Trouble, busy: boolean, onYes: () => void, onNo: () => void) {
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" && !busy) onNo();
  };
  return html`
    <div role="alertdialog" aria-labelledby="take-over-title" aria-describedby="take-over-text" @keydown=${onKey}>
      <h2 id="take-over-title">${t("sign-in.take-over-title")}</h2>
      <p id="take-over-text">${held.detail} ${held.cure}</p>
      <div class="actions">
        ${button({ label: t("sign-in.take-over"), id: "take-over", primary: true, disabled: busy, onClick: onYes })}
        ${button({ label: t("app.cancel"), disabled: busy, onClick: onNo })}
      </div>
    </div>
  `;
}
