// How members of the administrator's organisation sign in: trust, with or without the key, and the main PBX.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, type Licences } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { fieldStyles } from "../field.js";
import { sectionStyles, tickStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { confirmDone } from "../toasts.js";
import { t } from "../words.js";

type Entry = Licences["entry"];
interface Decision {
  trusted: boolean;
  entry: Entry;
  primary: boolean;
}

/** Unsaved choices for a PBX, kept while the administrator looks at other pages; omitted members are unchanged. */
let kept: { pbxName: string; draft: Partial<Decision> } = { pbxName: "", draft: {} };

const ENTRIES: readonly Entry[] = ["with-key", "one-click", "automatic"];

@customElement("pbx-trust")
export class Trust extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    tickStyles,
    css`
      fieldset {
        border: 0;
        margin: 12px 0;
        padding: 0;
        min-width: 0;
      }
      legend {
        font-weight: 600;
        padding: 0;
        margin-bottom: 8px;
      }
      .option {
        display: grid;
        grid-template-columns: auto 1fr;
        gap: 2px 8px;
        align-items: start;
        padding: 8px 12px;
        margin-bottom: 8px;
        border: 1px solid var(--colorNeutralStroke1);
        border-radius: var(--borderRadiusMedium, 4px);
      }
      .option.chosen {
        border-color: var(--colorCompoundBrandStroke);
      }
      .option label {
        padding: 2px 0;
      }
      .option .hint {
        grid-column: 2;
      }
      .option input {
        margin: 3px 0 0;
        vertical-align: 0;
      }
      form > .hint {
        margin-bottom: 12px;
      }
    `,
  ];

  @property({ attribute: false }) view!: Licences;
  @state() private draft: Partial<Decision> = {};
  private readonly task = new BusyController(this);
  @query("h2") private heading!: HTMLElement;

  override connectedCallback() {
    super.connectedCallback();
    if (kept.pbxName === this.view.connection.pbxName) this.draft = kept.draft;
    window.addEventListener("beforeunload", this.warn);
  }

  override disconnectedCallback() {
    window.removeEventListener("beforeunload", this.warn);
    if (this.isChanged) confirmDone(t("trust.unsaved-kept"), "warning");
    super.disconnectedCallback();
  }

  /** The browser asks whether to leave, in its own words. */
  private readonly warn = (event: BeforeUnloadEvent) => {
    if (this.isChanged) event.preventDefault();
  };

  override render() {
    const { tenantTrusted, entry, isPrimary, mayTrust, mayOffer } = this.view;
    const chosen = this.chosen;
    return html`<section class="card" aria-labelledby="trust-title">
      <h2 id="trust-title" tabindex="-1">${t("trust.title")}</h2>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      <form @submit=${this.save}>
        ${this.renderTick("trust", chosen.trusted, mayTrust || tenantTrusted, t("trust.trust-hint"))}
        ${mayTrust ? nothing : html`<p class="hint" id="guest">${t("trust.guest")}</p>`}
        ${
          chosen.trusted
            ? html`${this.renderTick("primary", chosen.primary, mayOffer || isPrimary, this.primaryHint())}
                <fieldset>
                  <legend>${t("trust.entry")}</legend>
                  ${ENTRIES.map((name) => {
                    // Options above the current one need an administrator with authority over the organisation.
                    const allowed = mayOffer || ENTRIES.indexOf(name) <= ENTRIES.indexOf(entry);
                    return this.renderEntry(name, chosen, allowed && (name !== "automatic" || chosen.primary));
                  })}
                </fieldset>
                ${mayOffer ? nothing : html`<p class="hint" id="needs-authority">${t("trust.needs-authority")}</p>`}`
            : nothing
        }
        ${this.isChanged ? html`<p id="unsaved">${t("trust.unsaved")}</p>` : nothing}
        <div class="actions">
          ${button({
            label: t(this.task.busy ? "trust.saving" : "trust.save"),
            id: "save-trust",
            submit: true,
            primary: this.isChanged,
            disabled: this.task.busy || !this.isChanged,
          })}
          ${
            this.isChanged
              ? button({
                  label: t("trust.discard"),
                  id: "discard-trust",
                  disabled: this.task.busy,
                  onClick: () => this.discard(),
                })
              : nothing
          }
        </div>
      </form>
    </section>`;
  }

  /** The current choice. If this is not the main PBX, only the first option has an effect. */
  private get chosen(): Decision {
    const { tenantTrusted: trusted, entry, isPrimary: primary } = this.view;
    const chosen = { trusted, entry, primary, ...this.draft };
    return !chosen.primary && chosen.entry === "automatic" ? { ...chosen, entry: "one-click" } : chosen;
  }

  private get isChanged(): boolean {
    const { trusted, entry, primary } = this.chosen;
    const { view } = this;
    if (!trusted) return view.tenantTrusted;
    return !view.tenantTrusted || entry !== view.entry || primary !== view.isPrimary;
  }

  private primaryHint(): string {
    const other = this.view.isPrimary ? null : this.view.primaryName;
    if (!other) return t("trust.primary-hint");
    return t(this.view.mayOffer ? "trust.primary-other-mine" : "trust.primary-other", { pbxName: other });
  }

  private renderTick(name: "trust" | "primary", on: boolean, allowed: boolean, hint: string) {
    const key = name === "trust" ? "trusted" : "primary";
    return html`<div class="option ${on ? "chosen" : ""}">
      <input
        id=${name}
        type="checkbox"
        .checked=${on}
        ?disabled=${!allowed}
        aria-describedby="${name}-hint"
        @change=${(event: Event) => this.choose({ [key]: (event.target as HTMLInputElement).checked })}
      />
      <label for=${name}>${t(name === "trust" ? "trust.trust" : "trust.primary")}</label>
      <p class="hint" id="${name}-hint">${hint}</p>
    </div>`;
  }

  private renderEntry(name: Entry, chosen: Decision, allowed: boolean) {
    const on = chosen.entry === name;
    return html`<div class="option ${on ? "chosen" : ""}">
      <input
        id="entry-${name}"
        type="radio"
        name="entry"
        .checked=${on}
        ?disabled=${!allowed}
        aria-describedby="entry-${name}-hint"
        @change=${() => this.choose({ entry: name })}
      />
      <label for="entry-${name}">${t(`trust.entry.${name}`)}</label>
      <p class="hint" id="entry-${name}-hint">${t(`trust.entry-hint.${name}`)}</p>
    </div>`;
  }

  private choose(change: Partial<Decision>) {
    this.keep({ ...this.draft, ...change });
  }

  private keep(draft: Partial<Decision>) {
    this.draft = draft;
    kept = { pbxName: this.view.connection.pbxName, draft };
  }

  private discard() {
    this.keep({});
    // The button goes with the changes.
    this.heading.focus();
  }

  private async save(event: Event) {
    event.preventDefault();
    if (!this.isChanged) return;
    const { trusted, entry, primary } = this.chosen;
    const changed = {
      ...(entry === this.view.entry ? {} : { entry }),
      ...(primary === this.view.isPrimary ? {} : { primary }),
    };
    await this.task.run(async () => {
      await api.setTrust({ trusted, ...(trusted ? changed : {}) });
      confirmDone(t("trust.saved"));
      this.keep({});
      this.dispatchEvent(new CustomEvent("trust-changed", { bubbles: true, composed: true }));
    });
  }
}
