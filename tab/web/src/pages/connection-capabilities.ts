// What the PBX's telephone offers, as the connector sees it.
import { html } from "lit";
import type { ConnectionReport } from "../api.js";
import "../page-words.js";
import { t, type Word } from "../words.js";

/** In the order of use. */
const FEATURES = [
  "dial",
  "hang-up",
  "calls",
  "history",
  "search",
  "voicemail",
  "do-not-disturb",
  "redirects",
  "mobiles",
  "primary-phone",
] as const;

/** Features with nothing to change: that they can be read is all that they offer. */
const ONLY_READ = new Set<string>(["calls", "history", "search"]);

export function renderCapabilities({ capabilities }: ConnectionReport) {
  return html`<section class="card" aria-labelledby="telephone">
    <h2 id="telephone">${t("connection.telephone")}</h2>
    ${
      capabilities === null
        ? html`<p>${t("connection.telephone-unknown")}</p>`
        : html`<p>${t("connection.telephone-text")}</p>
            <details>
              <summary>${t("state.details")}</summary>
              <dl id="capabilities">
                ${FEATURES.map((feature) => {
                  const offer = capabilities[feature] ?? "unknown";
                  const shown = offer === "read-only" && ONLY_READ.has(feature) ? "change" : offer;
                  return html`<dt>${t(`connection.feature.${feature}` as Word)}</dt>
                    <dd data-feature=${feature} data-offer=${offer}>${t(`connection.offer.${shown}` as Word)}</dd>`;
                })}
              </dl>
            </details>`
    }
  </section>`;
}
