// Every organisation that this PBX trusts, no matter who added it. Each can be removed.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, type Licences, type TrustedTenant } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { sectionStyles } from "../page-styles.js";
import { person } from "../person.js";
import { shared } from "../styles.js";
import { confirmDone } from "../toasts.js";
import { dateTime, number, t } from "../words.js";

@customElement("pbx-trusted-tenants")
export class TrustedTenants extends LitElement {
  static override styles = [
    shared,
    dialogStyles,
    sectionStyles,
    css`
      ul {
        list-style: none;
        margin: 12px 0 0;
        padding: 0;
      }
      li {
        display: flex;
        flex-wrap: wrap;
        gap: 8px 16px;
        align-items: flex-start;
        justify-content: space-between;
        padding: 12px 0;
        border-top: 1px solid var(--colorNeutralStroke2);
      }
      dl {
        flex: 1 1 280px;
      }
      .none {
        margin: 8px 0 0;
      }
    `,
  ];

  @property({ attribute: false }) view!: Licences;
  @state() private asked: TrustedTenant | null = null;
  private readonly task = new BusyController(this);
  @query("pbx-dialog") private dialog!: Dialog;
  @query("h2") private heading!: HTMLElement;

  override render() {
    const tenants = this.view.trustedTenants;
    return html`<section class="card" aria-labelledby="tenants">
      <h2 id="tenants" tabindex="-1">${t("trust.tenants")}</h2>
      <p class="hint">${t("trust.tenants-hint")}</p>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${
        tenants.length === 0
          ? html`<p class="none">${t("trust.tenants-none")}</p>`
          : html`<ul>
              ${tenants.map((tenant) => this.renderTenant(tenant))}
            </ul>`
      }
      ${this.renderDialog()}
    </section>`;
  }

  private renderTenant(tenant: TrustedTenant) {
    const entry = [
      t(`trust.entry-short.${tenant.entry}`),
      ...(tenant.isPrimary ? [t("trust.tenant-main")] : []),
      ...(tenant.approved ? [t("trust.tenant-approved")] : []),
    ];
    return html`<li>
      <dl>
        <dt>${t("trust.tenant")}</dt>
        <dd>${tenant.tenantId}${tenant.isMine ? html` (${t("trust.tenant-mine")})` : nothing}</dd>
        <dt>${t("trust.tenant-by")}</dt>
        <dd>${person(tenant.trustedBy)}</dd>
        <dt>${t("trust.tenant-since")}</dt>
        <dd>${dateTime(tenant.at)}</dd>
        <dt>${t("trust.tenant-entry")}</dt>
        <dd>${entry.join(", ")}</dd>
        <dt>${t("trust.tenant-people")}</dt>
        <dd>${number(tenant.signedIn)}</dd>
      </dl>
      ${button({
        label: t("trust.remove"),
        small: true,
        ariaLabel: t("trust.remove-one", { tenantId: tenant.tenantId }),
        onClick: (event) => void this.ask(tenant, event.target),
      })}
    </li>`;
  }

  private renderDialog() {
    const { tenantId = "", signedIn = 0 } = this.asked ?? {};
    return html`<pbx-dialog
      name="remove"
      enter
      .heading=${t("trust.remove-title")}
      .content=${html`<p>${t("trust.remove-text", { tenantId, count: signedIn })}</p>`}
      .confirm=${t("trust.remove-really")}
      ?busy=${this.task.busy}
      @confirmed=${this.removeTrust}
    ></pbx-dialog>`;
  }

  private async ask(tenant: TrustedTenant, opener: EventTarget | null) {
    this.asked = tenant;
    await this.updateComplete;
    await this.dialog.open(opener);
  }

  private async removeTrust() {
    const { asked } = this;
    if (asked === null) return;
    const outcome = await this.task.run(async () => {
      await api.removeTrust(asked.tenantId);
      confirmDone(t("trust.removed"));
      this.dispatchEvent(new CustomEvent("trust-changed", { bubbles: true, composed: true }));
    });
    // The button that opened the dialog disappears with its tenant.
    if (outcome === "done") this.dialog.close(this.heading);
    else this.dialog.close();
  }
}
