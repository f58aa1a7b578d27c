// The administrator's licence view: pools, trust, who is signed in, and taking a licence back.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import { api, troubleOf, type Holder, type Licences, type Trouble } from "../api.js";
import { field, fieldStyles } from "../field.js";
import { shared } from "../styles.js";
import { date, dateTime, number, t } from "../words.js";

@customElement("pbx-licences")
export class LicencesPage extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    css`
      .card {
        margin-bottom: 16px;
      }
      .scroll {
        position: relative;
        overflow-x: auto;
      }
      table {
        border-collapse: collapse;
        width: 100%;
        min-width: 720px;
      }
      th,
      td {
        text-align: start;
        padding: 6px 8px;
        border-bottom: 1px solid var(--colorNeutralStroke2);
      }
      th {
        font-weight: 600;
      }
      .tools {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
        align-items: end;
        margin-bottom: 8px;
      }
      meter {
        width: min(240px, 100%);
      }
      .trust {
        display: flex;
        gap: 8px;
        align-items: center;
      }
      .skeleton {
        height: 240px;
      }
      dialog {
        color: inherit;
        background: var(--colorNeutralBackground1);
        border: 1px solid var(--colorTransparentStroke, transparent);
        border-radius: var(--borderRadiusXLarge, 8px);
        box-shadow: var(--shadow64);
        padding: 24px;
        box-sizing: border-box;
        width: min(560px, calc(100vw - 32px));
      }
      dialog::backdrop {
        background: rgba(0, 0, 0, 0.4);
      }
      .end {
        justify-content: flex-end;
        margin-top: 16px;
      }
      input[type="checkbox"] {
        width: 18px;
        height: 18px;
        accent-color: var(--colorCompoundBrandBackground);
      }
    `,
  ];

  /** Raised by the app whenever the service says that the view has changed. */
  @property({ type: Number }) revision = 0;
  @state() private view: Licences | null = null;
  @state() private trouble: Trouble | null = null;
  @state() private notice = "";
  @state() private search = "";
  @state() private selected: ReadonlySet<string> = new Set();
  @state() private revoking: readonly Holder[] = [];
  @state() private busy = false;
  @query("dialog") private dialog!: HTMLDialogElement;
  @query("#reason") private reasonInput!: HTMLInputElement;
  private returnFocus: HTMLElement | null = null;

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision")) void this.load();
  }

  override render() {
    return html`
      <h1>${t("licences.title")}</h1>
      <pbx-message .trouble=${this.trouble}></pbx-message>
      <pbx-message intent="success" text=${this.notice}></pbx-message>
      ${
        this.view === null
          ? html`<div class="card skeleton" role="status">${this.trouble === null ? t("app.loading") : nothing}</div>`
          : html`${this.renderPools(this.view)} ${this.renderHolders(this.view)}`
      }
      ${this.renderDialog()}
    `;
  }

  private renderPools(view: Licences) {
    return html`<section class="card" aria-labelledby="pools">
      <h2 id="pools">${t("licences.pools")}</h2>
      ${view.pools.length === 0 ? html`<p>${t("licences.no-pools")}</p>` : nothing}
      ${view.pools.map((pool) => {
        const use = t("licences.pool-use", { used: number(pool.seatsUsed), total: number(pool.seatsTotal) });
        // The pool ends before this moment: its last day is the one before.
        const lastDay = new Date(Date.parse(pool.validUntil) - 1);
        return html`<p>
          <meter aria-label=${`${pool.serial}: ${use}`} min="0" max=${pool.seatsTotal} .value=${pool.seatsUsed}></meter>
          <br />${pool.serial}: <span class="use">${use}</span>,
          ${t("licences.valid", { from: date(pool.validFrom), until: date(lastDay) })}
        </p>`;
      })}
      <div class="trust">
        <fluent-switch
          id="trust"
          role="switch"
          aria-checked=${view.tenantTrusted}
          aria-label=${t("licences.trust")}
          aria-describedby="trust-hint"
          .checked=${view.tenantTrusted}
          ?disabled=${this.busy}
          @change=${this.setTrust}
        ></fluent-switch>
        <span aria-hidden="true">${t("licences.trust")}</span>
      </div>
      <p class="hint" id="trust-hint">${t("licences.trust-hint")}</p>
    </section>`;
  }

  private renderHolders(view: Licences) {
    const shown = this.found(view);
    const chosen = view.holders.filter((holder) => this.selected.has(holder.sessionId));
    return html`<section class="card" aria-labelledby="holders">
      <h2 id="holders">${t("licences.holders")}</h2>
      <div class="tools">
        ${field({
          id: "search",
          label: t("licences.search"),
          hint: t("licences.search-hint"),
          type: "search",
          onInput: this.onSearch,
        })}
        <span role="status">
          ${t("licences.count", { shown: number(shown.length), total: number(view.holders.length) })}
        </span>
        <fluent-button
          role="button"
          ?disabled=${chosen.length === 0}
          aria-disabled=${chosen.length === 0}
          @click=${(event: Event) => this.ask(chosen, event)}
        >
          ${t("licences.revoke-selected", { count: chosen.length })}
        </fluent-button>
      </div>
      ${
        shown.length === 0
          ? html`<p>${view.holders.length === 0 ? t("licences.none") : t("licences.none-found")}</p>`
          : html`<div class="scroll" tabindex="0" role="group" aria-labelledby="holders">
              <table aria-labelledby="holders">
                <thead>
                  <tr>
                    <th scope="col"><span class="visually-hidden">${t("licences.column.select")}</span></th>
                    <th scope="col">${t("licences.column.name")}</th>
                    <th scope="col">${t("licences.column.login")}</th>
                    <th scope="col">${t("licences.column.teams")}</th>
                    <th scope="col">${t("licences.column.kind")}</th>
                    <th scope="col">${t("licences.column.since")}</th>
                    <th scope="col">${t("licences.column.seen")}</th>
                    <th scope="col"><span class="visually-hidden">${t("licences.column.action")}</span></th>
                  </tr>
                </thead>
                <tbody>
                  ${repeat(
                    shown,
                    (holder) => holder.sessionId,
                    (holder) => this.renderHolder(holder),
                  )}
                </tbody>
              </table>
            </div>`
      }
    </section>`;
  }

  private renderHolder(holder: Holder) {
    return html`<tr>
      <td>
        <input
          type="checkbox"
          aria-label=${t("licences.select-one", { name: holder.displayName })}
          .checked=${this.selected.has(holder.sessionId)}
          @change=${() => this.toggle(holder.sessionId)}
        />
      </td>
      <th scope="row">${holder.displayName}${holder.isMe ? ` (${t("licences.me")})` : ""}</th>
      <td>${holder.login}</td>
      <td>${holder.teamsName}</td>
      <td>${t(`state.kind.${holder.kind}`)}</td>
      <td>${dateTime(holder.since)}</td>
      <td>${dateTime(holder.lastSeen)}</td>
      <td>
        <fluent-button
          role="button"
          size="small"
          aria-label=${t("licences.revoke-one", { name: holder.displayName })}
          @click=${(event: Event) => this.ask([holder], event)}
        >
          ${t("licences.revoke")}
        </fluent-button>
      </td>
    </tr>`;
  }

  private renderDialog() {
    const names = this.revoking.map((holder) => holder.displayName).join(", ");
    return html`<dialog aria-labelledby="revoke-title" @close=${() => this.returnFocus?.focus()}>
      <form method="dialog" @submit=${this.revoke}>
        <button type="submit" hidden></button>
        <h2 id="revoke-title">${t("licences.revoke-title")}</h2>
        <p>${t("licences.revoke-text", { names })}</p>
        ${field({ id: "reason", label: t("licences.reason"), maxLength: 500 })}
        <div class="actions end">
          <fluent-button
            role="button"
            type="submit"
            appearance="primary"
            ?disabled=${this.busy}
            aria-disabled=${this.busy}
          >
            ${this.busy ? t("licences.revoking") : t("licences.revoke")}
          </fluent-button>
          <fluent-button
            role="button"
            type="button"
            ?disabled=${this.busy}
            aria-disabled=${this.busy}
            @click=${() => this.dialog.close()}
          >
            ${t("licences.cancel")}
          </fluent-button>
        </div>
      </form>
    </dialog>`;
  }

  private found(view: Licences): Holder[] {
    const words = this.search.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    return view.holders.filter((holder) => {
      const text = `${holder.displayName} ${holder.login} ${holder.teamsName} ${holder.kind}`.toLocaleLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  private async load() {
    try {
      this.view = await api.licences();
      this.trouble = null;
      const present = new Set(this.view.holders.map((holder) => holder.sessionId));
      this.selected = new Set([...this.selected].filter((id) => present.has(id)));
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }

  private onSearch(event: Event) {
    this.search = (event.target as HTMLInputElement).value;
  }

  private toggle(id: string) {
    const selected = new Set(this.selected);
    if (!selected.delete(id)) selected.add(id);
    this.selected = selected;
  }

  private async ask(holders: readonly Holder[], event: Event) {
    this.revoking = holders;
    this.notice = "";
    this.returnFocus = event.target as HTMLElement;
    this.reasonInput.value = "";
    await this.updateComplete;
    this.dialog.showModal();
    this.reasonInput.focus();
  }

  private async revoke(event: Event) {
    event.preventDefault();
    if (this.busy) return;
    this.busy = true;
    this.trouble = null;
    try {
      const sessionIds = this.revoking.map((holder) => holder.sessionId);
      const revoked = await api.revoke({ sessionIds, reason: this.reasonInput.value });
      this.notice = t("licences.revoked", { count: number(revoked.sessionIds.length) });
      this.selected = new Set();
    } catch (error) {
      this.trouble = troubleOf(error);
    } finally {
      this.busy = false;
      this.dialog.close();
      const kept = this.trouble;
      await this.load();
      this.trouble ??= kept;
    }
  }

  private async setTrust(event: Event) {
    const toggle = event.target as HTMLInputElement;
    this.busy = true;
    this.trouble = null;
    try {
      this.view = await api.setTrust(toggle.checked);
    } catch (error) {
      this.trouble = troubleOf(error);
      toggle.checked = this.view?.tenantTrusted ?? false;
    } finally {
      this.busy = false;
    }
  }
}
