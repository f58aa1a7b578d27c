// Links to the pages, each with an icon and, when something needs attention, a red dot that also says so in words.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { icon, type FrameIcon } from "../icons.js";
import { shared } from "../styles.js";
import { t } from "../words.js";

export interface NavigationEntry {
  /** Its address is `#page`. */
  page: string;
  label: string;
  icon: FrameIcon;
  /** What needs attention there; empty if nothing does. */
  badge: string;
}

@customElement("pbx-navigation")
export class Navigation extends LitElement {
  static override styles = [
    shared,
    css`
      ul {
        list-style: none;
        margin: 0 0 16px;
        padding: 0;
        display: flex;
        flex-wrap: wrap;
        gap: 0 4px;
        border-bottom: 1px solid var(--colorNeutralStroke2);
      }
      a {
        display: flex;
        align-items: center;
        gap: 6px;
        padding: 8px 10px;
        color: var(--colorNeutralForeground2);
        text-decoration: none;
        border-bottom: 2px solid transparent;
      }
      a:hover {
        color: var(--colorNeutralForeground1);
        border-bottom-color: var(--colorNeutralStroke1Hover);
      }
      a[aria-current] {
        color: var(--colorNeutralForeground1);
        font-weight: 600;
        border-bottom-color: var(--colorCompoundBrandStroke);
      }
      .icon {
        flex: none;
        display: block;
      }
      a[aria-current] .icon {
        color: var(--colorCompoundBrandForeground1);
      }
      .place {
        position: relative;
      }
      .dot {
        position: absolute;
        inset-block-start: -3px;
        inset-inline-end: -4px;
        width: 8px;
        height: 8px;
        border-radius: 50%;
        border: 2px solid var(--colorNeutralBackground2);
        background: var(--colorStatusDangerBackground3, #c50f1f);
      }
      @media (forced-colors: active) {
        .dot {
          background: LinkText;
          forced-color-adjust: none;
        }
      }
      /* On a phone the words stand below the icons, as in the phone client of Teams. */
      @media (max-width: 520px) {
        ul {
          display: grid;
          grid-template-columns: repeat(auto-fill, minmax(76px, 1fr));
        }
        a {
          flex-direction: column;
          gap: 2px;
          padding: 6px 2px;
          font-size: 11px;
          line-height: 14px;
          text-align: center;
          overflow-wrap: break-word;
          hyphens: auto;
        }
      }
    `,
  ];

  @property({ attribute: false }) entries: readonly NavigationEntry[] = [];
  @property() current = "";

  override render() {
    return html`<nav aria-label=${t("nav.label")}>
      <ul>
        ${this.entries.map(
          ({ page, label, icon: name, badge }) =>
            html`<li>
              <a
                href="#${page}"
                id="to-${page}"
                aria-current=${page === this.current ? "page" : nothing}
                title=${badge || nothing}
              >
                <span class="place">${icon(name)}${badge ? html`<span class="dot"></span>` : nothing}</span>
                <span>${label}${badge ? html`<span class="visually-hidden">: ${badge}</span>` : nothing}</span>
              </a>
            </li>`,
        )}
      </ul>
    </nav>`;
  }
}
