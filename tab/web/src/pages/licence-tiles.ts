// An overview for administrators: licences in use, the length of the waiting list, and the validity of the keys.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { Licences, PoolState } from "../api.js";
import { pageIcon, type PageIcon } from "../page-icons.js";
import { shared } from "../styles.js";
import { date, number, t } from "../words.js";

export type Health = "good" | "warning" | "bad";

/** From this share of used seats on, a pool counts as almost full. */
const ALMOST_FULL = 0.9;
const EXPIRES_SOON_DAYS = 30;
const DAY_MS = 86_400_000;

interface Tile {
  id: string;
  icon: PageIcon;
  label: string;
  value: string;
  /** Shown next to the value; says in words what the colour means. */
  note?: string;
  health?: Health;
}

/** Return how full a pool is, with a note if it needs attention. */
export function fullness(used: number, total: number): { health: Health; note: string } {
  if (used >= total) return { health: "bad", note: t("licences.full") };
  if (used >= ALMOST_FULL * total) return { health: "warning", note: t("licences.almost-full") };
  return { health: "good", note: "" };
}

/** Return how long a key stays valid, with a note if it needs attention. */
export function validity({ validFrom, validUntil }: PoolState): { health: Health; note: string } {
  const now = Date.now();
  const left = Date.parse(validUntil) - now;
  if (left <= 0) return { health: "bad", note: t("licences.expired") };
  if (Date.parse(validFrom) > now) return { health: "warning", note: t("licences.not-yet-valid") };
  if (left > EXPIRES_SOON_DAYS * DAY_MS) return { health: "good", note: "" };
  return { health: "warning", note: t("licences.expires", { count: Math.max(1, Math.ceil(left / DAY_MS)) }) };
}

/** The pool ends just before that time, so its last day is the day before. */
export function lastDay(pool: PoolState): string {
  return date(new Date(Date.parse(pool.validUntil) - 1));
}

@customElement("pbx-licence-tiles")
export class LicenceTiles extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        margin-bottom: 16px;
      }
      ul {
        display: grid;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 168px), 1fr));
        gap: 12px;
        list-style: none;
        margin: 0;
        padding: 0;
      }
      li.card {
        padding: 12px;
        display: grid;
        grid-template-columns: 20px minmax(0, 1fr);
        gap: 0 10px;
        border-inline-start: 4px solid var(--edge, var(--colorNeutralStrokeAccessible));
      }
      .good {
        --edge: var(--colorStatusSuccessBorderActive, #107c10);
      }
      .warning {
        --edge: var(--colorStatusWarningBorderActive, #bc4b09);
      }
      .bad {
        --edge: var(--colorStatusDangerBorderActive, #c50f1f);
      }
      .label,
      .value,
      .note {
        overflow-wrap: anywhere;
      }
      .label {
        hyphens: auto;
      }
      .value {
        grid-column: 2;
        font-size: 20px;
        line-height: 28px;
        font-weight: 600;
      }
      .note {
        grid-column: 2;
        display: flex;
        gap: 4px;
        align-items: center;
      }
      .note svg {
        width: 16px;
        height: 16px;
        flex: none;
        color: var(--edge);
      }
    `,
  ];

  @property({ attribute: false }) view!: Licences;

  override render() {
    return html`<ul aria-label=${t("licences.glance")}>
      ${this.tiles().map(
        (tile) =>
          html`<li class="card ${tile.health ?? ""}" id="tile-${tile.id}">
            ${pageIcon(tile.icon)}<span class="label">${tile.label}</span><span class="value">${tile.value}</span>
            ${
              tile.note
                ? html`<span class="note">${pageIcon(tile.health === "bad" ? "error" : "warning")}${tile.note}</span>`
                : nothing
            }
          </li>`,
      )}
    </ul>`;
  }

  private tiles(): Tile[] {
    const { pools, waiting, userLicences = 0 } = this.view;
    const used = pools.reduce((sum, pool) => sum + pool.seatsUsed, 0);
    const total = pools.reduce((sum, pool) => sum + pool.seatsTotal, 0);
    const [first] = [...pools].sort((one, other) => Date.parse(one.validUntil) - Date.parse(other.validUntil));
    return [
      {
        id: "used",
        icon: "licences",
        label: t("licences.tile-used"),
        value: t("state.seats-value", { used, total }),
        ...(total > 0 ? fullness(used, total) : {}),
      },
      { id: "user", icon: "person", label: t("licences.tile-user"), value: number(userLicences) },
      {
        id: "waiting",
        icon: "clock",
        label: t("licences.tile-waiting"),
        value: number(waiting),
        health: waiting > 0 ? "warning" : "good",
      },
      {
        id: "until",
        icon: "success",
        label: t("licences.tile-until"),
        value: first ? lastDay(first) : t("licences.tile-no-key"),
        ...(first ? validity(first) : {}),
      },
    ];
  }
}
