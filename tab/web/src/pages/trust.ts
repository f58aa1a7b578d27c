// How people of the administrator's organisation sign in: trust, with or without the key, and the main PBX.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property } from "lit/decorators.js";
import { api, type Licences, type TrustWish } from "../api.js";
import { BusyController } from "../busy.js";
import { choice, fieldStyles } from "../field.js";
import { shared } from "../styles.js";
import { t, type Word } from "../words.js";

type Entry = Licences["entry"];
const ENTRIES: readonly Entry[] = ["with-key", "one-click", "automatic"];

@customElement("pbx-trust")
export class Trust extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    css`
      .switch {
        display: flex;
        align-items: center;
        gap: 8px;
        margin-top: 8px;
      }
      .switch + .hint {
        margin: 4px 0 8px;
      }
      .field {
        margin: 12px 0;
        max-width: 420px;
      }
    `,
  ];

  @property({ attribute: false }) view!: Licences;
  private readonly task = new BusyController(this);

  override render() {
    const { tenantTrusted, entry, mayTrust, mayOffer } = this.view;
    return html`
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${this.renderSwitch("trust", tenantTrusted, (trusted) => this.decide({ trusted }), mayTrust || tenantTrusted)}
      ${mayTrust ? nothing : html`<p class="hint" id="guest">${t("trust.guest")}</p>`}
      ${
        tenantTrusted
          ? html`${choice({
              id: "entry",
              label: t("trust.entry"),
              hint: t(`trust.entry-hint.${entry}`),
              value: entry,
              disabled: this.task.busy,
              // What lies above the present choice needs somebody who decides for the organisation.
              options: ENTRIES.filter((name) => mayOffer || ENTRIES.indexOf(name) <= ENTRIES.indexOf(entry)).map(
                (name) => ({ value: name, label: t(`trust.entry.${name}`) }),
              ),
              onChange: (value) => this.decide({ trusted: true, entry: value as Entry }),
            })}
            ${this.renderSwitch(
              "primary",
              this.view.isPrimary,
              (primary) => this.decide({ trusted: true, primary }),
              mayOffer || this.view.isPrimary,
            )}
            ${mayOffer ? nothing : html`<p class="hint" id="needs-authority">${t("trust.needs-authority")}</p>`}`
          : nothing
      }
    `;
  }

  private renderSwitch(
    name: "trust" | "primary",
    on: boolean,
    decide: (on: boolean) => Promise<boolean>,
    allowed: boolean,
  ) {
    const other = name === "primary" && !on ? this.view.primaryName : null;
    const otherWord = this.view.mayOffer ? "trust.primary-other-mine" : "trust.primary-other";
    const hint = other ? t(otherWord, { pbxName: other }) : t(`trust.${name}-hint` as Word);
    const change = async (event: Event) => {
      const toggle = event.target as HTMLInputElement;
      if (!(await decide(toggle.checked))) toggle.checked = on;
    };
    return html`<div class="switch">
        <fluent-switch
          id=${name}
          role="switch"
          aria-checked=${on}
          aria-label=${t(`trust.${name}` as Word)}
          aria-describedby="${name}-hint"
          .checked=${on}
          ?disabled=${this.task.busy || !allowed}
          @change=${change}
        ></fluent-switch>
        <span aria-hidden="true">${t(`trust.${name}` as Word)}</span>
      </div>
      <p class="hint" id="${name}-hint">${hint}</p>`;
  }

  /** Whether it was taken. */
  private async decide(wish: TrustWish): Promise<boolean> {
    const outcome = await this.task.run(async () => {
      const detail = await api.setTrust(wish);
      this.dispatchEvent(new CustomEvent("trust-changed", { detail, bubbles: true, composed: true }));
    });
    return outcome === "done";
  }
}
