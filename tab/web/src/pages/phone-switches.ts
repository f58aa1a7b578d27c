// The switches of a telephone: do not disturb, redirects, mobile phones, the primary phone. The page shows the
// state that the PBX reports after each change, and marks what the user may not change.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { live } from "lit/directives/live.js";
import { api, type Phone, type PhoneLine, type Redirect, type RedirectWish } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { choice, field, fieldStyles } from "../field.js";
import { listStyles, sectionStyles, tickStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { rich, t } from "../words.js";
import { numberText, tellChanged } from "./phone-shared.js";

const SECONDS = [10, 15, 20, 25, 30, 45, 60];

@customElement("pbx-phone-switches")
export class PhoneSwitches extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    listStyles,
    tickStyles,
    css`
      label.switch {
        display: flex;
        gap: 8px;
        flex: 1 1 220px;
        overflow-wrap: anywhere;
      }
      h3 {
        font-size: 14px;
        font-weight: 600;
        margin: 16px 0 4px;
      }
      form {
        display: flex;
        flex-direction: column;
        gap: 12px;
        flex: 1 1 100%;
        padding-bottom: 8px;
      }
      .apart {
        margin-top: 12px;
      }
    `,
  ];

  @property({ attribute: false }) line!: PhoneLine;
  /** Id of the redirect whose destination is being edited. */
  @state() private editing = "";
  /** Id of the chosen mailbox; empty if the destination is a number. */
  @state() private mailboxId = "";
  @state() private seconds = "";
  private readonly mailboxes = new Map<string, { name: string; isGroups: boolean }>();
  private readonly task = new BusyController(this, { "number-unusable": "redirect-number" });

  override render() {
    const { features, doNotDisturb, redirects, mobiles, phones } = this.line;
    const primary = features["primary-phone"];
    return html`<section class="card" aria-labelledby="switches">
      <h2 id="switches">${t("phone.switches")}</h2>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${features["do-not-disturb"] ? this.renderDoNotDisturb(doNotDisturb ?? null) : nothing}
      ${
        primary && phones.length > 1
          ? html`<div class="apart">
              ${choice({
                id: "primary",
                label: t("phone.primary-phone"),
                hint: primary === "change" ? t("phone.primary-hint") : t("phone.read-only"),
                value: phones.find((phone) => phone.isPrimary)?.phoneId ?? "",
                disabled: primary !== "change" || this.task.busy,
                options: phones.map((phone) => ({ value: phone.phoneId, label: phone.name })),
                onChange: (phoneId) => void this.change(() => api.setPrimaryPhone(phoneId)),
              })}
            </div>`
          : nothing
      }
      ${features.redirects ? this.renderRedirects(redirects ?? null) : nothing}
      ${features.mobiles && mobiles && mobiles.length > 0 ? this.renderMobiles(this.line) : nothing}
    </section>`;
  }

  private renderDoNotDisturb(isOn: boolean | null) {
    const mayChange = this.line.features["do-not-disturb"] === "change";
    return html`<label class="switch"
        ><input
          type="checkbox"
          id="do-not-disturb"
          .checked=${live(isOn === true)}
          .indeterminate=${isOn === null}
          ?disabled=${!mayChange || this.task.busy}
          @change=${(event: Event) => void this.change(() => api.setDoNotDisturb(isTicked(event)))}
        />${t("phone.do-not-disturb")}</label
      >
      ${isOn === null ? html`<p class="hint">${t("phone.not-known")}</p>` : nothing}
      ${mayChange ? nothing : html`<p class="hint">${t("phone.read-only")}</p>`}`;
  }

  private renderRedirects(redirects: Redirect[] | null) {
    if (redirects === null) {
      return html`<h3 id="redirects">${t("phone.redirects")}</h3>
        <p class="hint">${t("phone.not-known")}</p>`;
    }
    const own = redirects.filter((redirect) => redirect.group === "");
    const ofGroups = redirects.filter((redirect) => redirect.group !== "");
    return html`
      <h3 id="redirects">${t("phone.redirects")}</h3>
      ${own.length === 0 ? html`<p>${t("phone.no-redirects")}</p>` : nothing}
      ${byNumber(own).map((some) => this.renderNumber(some))}
      ${
        ofGroups.length > 0
          ? html`<details>
              <summary>${t("phone.redirects-of-groups")}</summary>
              ${byNumber(ofGroups).map((some) => this.renderNumber(some))}
            </details>`
          : nothing
      }
    `;
  }

  private renderNumber(redirects: Redirect[]) {
    const number = redirects[0]?.ofNumber ?? "";
    return html`<p class="hint apart">${rich("phone.redirects-of", { number: numberText(number) })}</p>
      <ul aria-label=${t("phone.redirects-of", { number })}>
        ${redirects.map((redirect) => this.renderRedirect(redirect))}
      </ul>`;
  }

  private renderRedirect(redirect: Redirect) {
    const mayChange = redirect.access === "change";
    const leadsNowhere = redirect.target === "number" && redirect.number === "";
    const { redirectId } = redirect;
    return html`<li>
      <label class="switch"
        ><input
          type="checkbox"
          .checked=${live(redirect.isOn)}
          ?disabled=${!mayChange || this.task.busy}
          @change=${(event: Event) => void this.switchRedirect(redirect, event, leadsNowhere)}
        /><span
          >${t(`phone.trigger.${redirect.trigger}`)} <span class="below">${destination(redirect)}</span></span
        ></label
      >
      ${
        mayChange
          ? button({
              label: t("phone.redirect-change"),
              small: true,
              ariaLabel: `${t("phone.redirect-change")}: ${t(`phone.trigger.${redirect.trigger}`)}`,
              disabled: this.task.busy,
              onClick: () => this.edit(redirect),
            })
          : html`<span class="hint">${t("phone.read-only")}</span>`
      }
      ${this.editing === redirectId ? this.renderForm(redirect) : nothing}
    </li>`;
  }

  private renderForm(redirect: Redirect) {
    const mailboxes = this.seenMailboxes(redirect);
    return html`<form novalidate @submit=${(event: Event) => void this.save(event, redirect)}>
      <button type="submit" hidden></button>
      ${
        mailboxes.length > 0
          ? choice({
              id: "redirect-target",
              label: t("phone.redirect-target"),
              value: this.mailboxId,
              options: [
                { value: "", label: t("phone.target.number") },
                ...mailboxes.map(([value, name]) => ({
                  value,
                  label: name === "" ? t("phone.target.mailbox") : t("phone.target.mailbox-of", { name }),
                })),
              ],
              onChange: (value) => (this.mailboxId = value),
            })
          : nothing
      }
      ${
        this.mailboxId === ""
          ? field({
              id: "redirect-number",
              label: t("phone.redirect-number"),
              value: redirect.number ?? "",
              maxLength: 100,
              invalid: this.task.invalid === "redirect-number",
            })
          : nothing
      }
      ${
        redirect.seconds === null || redirect.seconds === undefined
          ? nothing
          : choice({
              id: "redirect-seconds",
              label: t("phone.redirect-seconds"),
              value: this.seconds,
              options: [...new Set([...SECONDS, redirect.seconds])]
                .sort((one, other) => one - other)
                .map((seconds) => ({ value: String(seconds), label: t("phone.seconds", { count: seconds }) })),
              onChange: (value) => (this.seconds = value),
            })
      }
      <div class="actions">
        ${button({ label: t("phone.redirect-save"), primary: true, submit: true, disabled: this.task.busy })}
        ${button({ label: t("app.cancel"), onClick: () => (this.editing = "") })}
      </div>
    </form>`;
  }

  private renderMobiles({ mobiles }: PhoneLine) {
    return html`<h3 id="mobiles">${t("phone.mobiles")}</h3>
      <ul aria-labelledby="mobiles">
        ${(mobiles ?? []).map(
          (mobile) =>
            html`<li>
              <label class="switch"
                ><input
                  type="checkbox"
                  .checked=${live(mobile.isOn)}
                  ?disabled=${mobile.access !== "change" || this.task.busy}
                  @change=${(event: Event) => void this.change(() => api.setMobile(mobile.mobileId, isTicked(event)))}
                />${numberText(mobile.number)}</label
              >
              ${mobile.access === "change" ? nothing : html`<span class="hint">${t("phone.read-only")}</span>`}
            </li>`,
        )}
      </ul>`;
  }

  private edit(redirect: Redirect) {
    this.editing = this.editing === redirect.redirectId ? "" : redirect.redirectId;
    this.mailboxId = redirect.target === "mailbox" ? (redirect.mailboxId ?? "") : "";
    this.seconds = String(redirect.seconds ?? "");
    this.task.trouble = null;
    void this.updateComplete.then(() =>
      this.renderRoot.querySelector<HTMLElement>("#redirect-target, #redirect-number")?.focus(),
    );
  }

  /** Switch a redirect. If it has no destination, the user is asked for it first. */
  private async switchRedirect(redirect: Redirect, event: Event, leadsNowhere: boolean) {
    const isOn = isTicked(event);
    if (isOn && leadsNowhere) {
      (event.target as HTMLInputElement).checked = false;
      this.edit(redirect);
      return;
    }
    await this.change(() => api.setRedirect({ redirectId: redirect.redirectId, isOn }));
  }

  private async save(event: Event, redirect: Redirect) {
    event.preventDefault();
    const number = this.renderRoot.querySelector<HTMLInputElement>("#redirect-number")?.value.trim() ?? "";
    const where: Pick<RedirectWish, "target" | "number" | "mailboxId"> =
      this.mailboxId === "" ? { target: "number", number } : { target: "mailbox", mailboxId: this.mailboxId };
    const seconds = this.seconds === "" ? {} : { seconds: Number(this.seconds) };
    const { redirectId } = redirect;
    const outcome = await this.change(() => api.setRedirect({ redirectId, isOn: true, ...where, ...seconds }));
    if (outcome === "done") this.editing = "";
  }

  /** Send a change and show the PBX's answer. If the PBX refuses, show the previous state again. */
  private async change(ask: () => Promise<Phone>) {
    const outcome = await this.task.run(async () => tellChanged(this, await ask()));
    if (outcome === "failed") this.dispatchEvent(new CustomEvent("look", { bubbles: true, composed: true }));
    return outcome;
  }

  /** Return the mailboxes that the redirects use, or have used since the page was opened. */
  private seenMailboxes(redirect: Redirect): [string, string][] {
    for (const { mailboxId, mailbox, group } of this.line.redirects ?? []) {
      if (mailboxId) this.mailboxes.set(mailboxId, { name: mailbox ?? "", isGroups: group !== "" });
    }
    const isGroups = redirect.group !== "";
    return [...this.mailboxes].filter(([, one]) => one.isGroups === isGroups).map(([id, { name }]) => [id, name]);
  }
}

function isTicked(event: Event): boolean {
  return (event.target as HTMLInputElement).checked;
}

/** Group the redirects by called number, keeping their order. */
function byNumber(redirects: Redirect[]): Redirect[][] {
  const found = new Map<string, Redirect[]>();
  for (const redirect of redirects) {
    const number = redirect.ofNumber ?? "";
    found.set(number, [...(found.get(number) ?? []), redirect]);
  }
  return [...found.values()];
}

function destination({ target, number, mailbox, trigger, seconds }: Redirect) {
  const where =
    target === "mailbox"
      ? mailbox
        ? rich("phone.to-mailbox-of", { mailbox: html`<bdi>${mailbox}</bdi>` })
        : t("phone.to-mailbox")
      : number
        ? rich("phone.to-number", { number: numberText(number) })
        : t("phone.to-nowhere");
  const after = trigger === "no-answer" && seconds ? html`, ${t("phone.after", { count: seconds })}` : nothing;
  return html`${where}${after}`;
}
