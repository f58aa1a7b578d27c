// For administrators: what the connector does for them from here, without a visit to the site. UCI off and on, and a
// new PBX key, which the connector seals to this browser.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, ownTrouble, save, troubleOf, type ConnectionReport, type RepairName } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { choice, field, fieldStyles } from "../field.js";
import { surroundings } from "../host.js";
import "../page-words.js";
import { sectionStyles } from "../page-styles.js";
import { parseKey, readKeyFile } from "../pbxkey.js";
import { isImpostor, newAnswerKey, seal, sealContext } from "../sealing.js";
import { knownKey, rememberKey } from "../session-key.js";
import { shared } from "../styles.js";
import { dateTime, t } from "../words.js";

/** How long the old key may stay valid, in hours. */
const HOURS = ["0.25", "24", "72", "336", "2160"] as const;
const FIELD_OF: Record<string, string> = {
  "key-missing": "key",
  "malformed-key": "key",
  "key-too-short": "key",
  "key-too-long": "key",
  "file-not-key": "key",
  "file-too-large": "key",
  "wrong-key": "key",
};

interface NewKey {
  fileName: string;
  content: string;
  oldKeyUntil: string;
}

/** A button beside a cause. The card of repairs does what it asks for, the page runs the diagnostics. */
export function repairButton(repair: RepairName | null, about: string) {
  return repair === null
    ? nothing
    : button({
        label: t(`repairs.${repair}`),
        ariaLabel: t("repairs.for", { repair: t(`repairs.${repair}`), about }),
        small: true,
        onClick: (event) =>
          event.target?.dispatchEvent(
            new CustomEvent<RepairName>("pbx-repair", { detail: repair, bubbles: true, composed: true }),
          ),
      });
}

@customElement("pbx-connection-repairs")
export class ConnectionRepairs extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    dialogStyles,
    fieldStyles,
    css`
      .repair {
        margin-bottom: 16px;
      }
      .repair:last-child {
        margin-bottom: 0;
      }
      .repair p {
        margin: 0 0 8px;
      }
      .field {
        margin: 12px 0;
      }
    `,
  ];

  @property({ attribute: false }) report: ConnectionReport | null = null;
  private readonly uci = new BusyController(this);
  private readonly key = new BusyController(this, FIELD_OF);
  @state() private restarted = "";
  @state() private newKey: NewKey | null = null;
  @state() private hours = "72";
  @query("pbx-dialog") private dialog!: Dialog;
  @query("#key") private keyInput!: HTMLInputElement | null;
  @query("#key-file") private fileInput!: HTMLInputElement | null;
  private connectorIdentity: string | null = null;
  /** Sent again after an answer that was lost, so that no further key is made. */
  private request = crypto.randomUUID();

  override connectedCallback() {
    super.connectedCallback();
    document.addEventListener("pbx-repair", this.repair);
  }

  override disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("pbx-repair", this.repair);
  }

  override render() {
    const { report } = this;
    if (!report?.connected) return nothing;
    const { offered, finding } = report.repairs;
    const hasButtons = offered.includes("restart-uci") || offered.includes("new-key");
    return html`<section class="card" aria-labelledby="repairs">
      <h2 id="repairs">${t("repairs.title")}</h2>
      ${finding ? html`<pbx-message intent="info" .trouble=${finding}></pbx-message>` : nothing}
      ${offered.includes("restart-uci") ? this.renderUci() : nothing}
      ${offered.includes("new-key") ? this.renderKey() : nothing} ${hasButtons ? this.renderDialog() : nothing}
    </section>`;
  }

  private renderUci() {
    return html`<div class="repair">
      <p>${t("repairs.uci-text")}</p>
      ${button({
        id: "restart-uci",
        label: t(this.uci.busy ? "repairs.uci-busy" : "repairs.restart-uci"),
        disabled: this.uci.busy,
        onClick: () => void this.restartUci(),
      })}
      <pbx-message .trouble=${this.uci.trouble}></pbx-message>
      <pbx-message intent="success" .text=${this.restarted}></pbx-message>
    </div>`;
  }

  private renderKey() {
    const { newKey } = this;
    return html`<div class="repair">
      <p>${t("repairs.key-text")}</p>
      ${button({
        id: "new-key",
        label: t("repairs.new-key-open"),
        disabled: this.key.busy,
        onClick: (event) => void this.dialog.open(event.target),
      })}
      ${
        newKey === null
          ? nothing
          : html`<pbx-message
                intent="success"
                .text=${t("repairs.key-made", { file: newKey.fileName, until: dateTime(newKey.oldKeyUntil) })}
              ></pbx-message>
              ${button({ id: "save-key", label: t("repairs.key-save"), onClick: () => this.saveKey(newKey) })}`
      }
    </div>`;
  }

  private renderDialog() {
    const name = this.report?.pbxName ?? "";
    const asksKey = knownKey(name) === null;
    return html`<pbx-dialog
      name="new-key"
      enter
      .heading=${t("repairs.key-title", { name })}
      .content=${html`<pbx-message .trouble=${this.key.trouble}></pbx-message>
        <p>${t("repairs.key-warning")}</p>
        ${choice({
          id: "hours",
          label: t("repairs.key-hours"),
          hint: t("repairs.key-hours-hint"),
          value: this.hours,
          options: HOURS.map((hours) => ({
            value: hours,
            label: t(`repairs.hours.${hours.replace(".", "-")}` as "repairs.hours.24"),
          })),
          onChange: (value) => (this.hours = value),
        })}
        ${asksKey ? this.renderKeyField() : nothing}`}
      .confirm=${t(this.key.busy ? "repairs.key-busy" : "repairs.new-key")}
      ?busy=${this.key.busy}
      @confirmed=${this.makeKey}
    ></pbx-dialog>`;
  }

  private renderKeyField() {
    return html`${field({
        id: "key",
        label: t("repairs.key-present"),
        hint: t("repairs.key-present-hint"),
        invalid: this.key.invalid === "key",
      })}
      <div class="actions">
        ${button({ label: t("sign-in.choose"), small: true, onClick: () => this.fileInput?.click() })}
        <input id="key-file" type="file" hidden accept=".pbxkey,.json,application/json" @change=${this.takeFile} />
      </div>`;
  }

  private readonly repair = (event: Event) => {
    const { detail } = event as CustomEvent<RepairName>;
    const target = this.renderRoot.querySelector<HTMLElement>(`#${detail}`);
    if (target === null) return;
    target.scrollIntoView({ block: "center" });
    target.focus();
    if (detail === "restart-uci") void this.restartUci();
    if (detail === "new-key") void this.dialog.open(target);
  };

  private async restartUci() {
    this.restarted = "";
    await this.uci.run(async () => {
      const { words } = await api.restartUci();
      if (words) this.uci.trouble = words;
      else this.restarted = t("repairs.uci-on");
    });
    this.dispatchEvent(new CustomEvent("repaired"));
  }

  private async makeKey() {
    const name = this.report?.pbxName ?? "";
    const outcome = await this.key.run(async () => {
      const typed = this.keyInput?.value ?? knownKey(name) ?? "";
      if (typed.trim() === "") return this.key.fail(ownTrouble("key-missing"));
      const known = await parseKey(typed);
      const prepared = await api.prepareNewKey();
      if (await isImpostor(this.connectorIdentity, prepared)) return this.key.fail(ownTrouble("impostor"));
      const { tenantId, objectId } = surroundings();
      const whom = [prepared.pbxName, tenantId, objectId, prepared.nonce] as const;
      const answerKey = await newAnswerKey();
      const wanted = { request: this.request, browserKey: answerKey.publicKey, keepOldHours: Number(this.hours) };
      const box = await seal(
        prepared.sealingKey,
        known,
        JSON.stringify(wanted),
        sealContext("pbx-new-key.v1", ...whom),
      );
      const sealed = await api.makeNewKey({ nonce: prepared.nonce, box });
      const content = await answerKey.open(sealed.box, known, sealContext("pbx-key-delivery.v1", ...whom));
      const { pbxKey } = JSON.parse(content) as { pbxKey: string };
      rememberKey(name, await parseKey(pbxKey));
      this.newKey = { fileName: `${prepared.pbxName}.pbxkey`, content, oldKeyUntil: sealed.oldKeyUntil };
      this.request = crypto.randomUUID();
    });
    if (outcome !== "done" || this.newKey === null || this.key.trouble !== null) return;
    this.dialog.close();
    this.saveKey(this.newKey);
    this.dispatchEvent(new CustomEvent("repaired"));
  }

  private saveKey({ fileName, content }: NewKey) {
    save({ fileName, content: new Blob([content], { type: "application/json" }), complete: true });
  }

  private async takeFile() {
    const file = this.fileInput?.files?.[0];
    if (file === undefined) return;
    try {
      const content = await readKeyFile(file);
      if (this.keyInput !== null) this.keyInput.value = content.pbxKey;
      this.connectorIdentity = content.connectorIdentity;
    } catch (error) {
      this.key.fail(troubleOf(error));
    }
    if (this.fileInput) this.fileInput.value = "";
  }
}
