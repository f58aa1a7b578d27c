// Audio devices: which ones Teams and the softphone use, whether they conflict, and what to change.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type AudioState, type AudioStep, type AudioUse, type BrowserDevice, type DeclaredUse } from "../api.js";
import { BusyController } from "../busy.js";
import { askForAccess, currentAccess, listDevices, type Access } from "../devices.js";
import { choice, fieldStyles } from "../field.js";
import type { Surroundings } from "../host.js";
import type { Intent } from "../message.js";
import { sectionStyles, tableStyles } from "../page-styles.js";
import "../page-words.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { t } from "../words.js";
import "./audio-calls.js";
import "./audio-conflicts.js";
import "./audio-devices.js";
import "./audio-picture.js";
import "./audio-probes.js";
import { sourceOf, whoOf } from "./audio-shared.js";
import "./audio-stored.js";

const PROGRAMS = ["teams", "softphone"] as const;
const KINDS = ["output", "input"] as const;
type Program = (typeof PROGRAMS)[number];
type Kind = (typeof KINDS)[number];

/**
 * Interval for polling the devices while the page is visible, because Chromium on Linux does not report changes of
 * a sound server's devices.
 */
const LOOK_MS = 3_000;

const INTENTS: Record<AudioState["finding"]["verdict"], Intent> = {
  conflict: "error",
  likely: "warning",
  clear: "success",
  unknown: "info",
};

@customElement("pbx-audio")
export class AudioPage extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    tableStyles,
    css`
      table {
        margin-top: 12px;
        width: 100%;
      }
      th,
      td {
        vertical-align: top;
      }
      @media (max-width: 480px) {
        table {
          table-layout: fixed;
        }
        th:nth-child(2) {
          width: 38%;
        }
      }
      td:nth-child(2) {
        overflow-wrap: anywhere;
      }
      th {
        font-weight: 600;
      }
      ol,
      ul {
        margin: 0 0 8px;
        padding-inline-start: 20px;
      }
      .choices {
        display: grid;
        gap: 12px 16px;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr));
      }
      .choices select {
        border-color: var(--colorNeutralStrokeAccessible);
        padding-inline: 8px;
      }
      .choices select:disabled {
        color: var(--colorNeutralForeground2);
      }
      details {
        margin-bottom: 8px;
      }
      summary {
        cursor: pointer;
      }
    `,
  ];

  @property({ attribute: false }) surroundings!: Surroundings;
  @property({ type: Boolean }) administrator = false;
  /** Increased when changes may have been missed. */
  @property({ type: Number }) revision = 0;
  /** The last live update. */
  @property({ attribute: false }) news: AudioState | null = null;
  @state() private audio: AudioState | null = null;
  @state() private devices: BrowserDevice[] = [];
  /** Null until known. */
  @state() private access: Access | null = null;
  private readonly task = new BusyController(this);
  private readonly onDevices = () => void this.sendDevices();
  private looking: ReturnType<typeof setInterval> | undefined;

  private declaredAgain = false;

  override connectedCallback() {
    super.connectedCallback();
    navigator.mediaDevices?.addEventListener("devicechange", this.onDevices);
    this.looking = setInterval(() => {
      if (document.visibilityState === "visible" && this.access === "granted") void this.sendDevices();
    }, LOOK_MS);
    void this.begin();
  }

  override disconnectedCallback() {
    navigator.mediaDevices?.removeEventListener("devicechange", this.onDevices);
    clearInterval(this.looking);
    super.disconnectedCallback();
  }

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("news") && this.news !== null && this.audio !== null) this.audio = this.news;
    if (changed.has("revision") && this.audio !== null) void this.take(api.audio());
  }

  override render() {
    if (this.audio === null) {
      return html`<h1>${t("audio.title")}</h1>
        ${placeholder(this.task.trouble, () => this.begin(), 640)}`;
    }
    const audio = this.audio;
    return html`
      <h1>${t("audio.title")}</h1>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      <div id="finding">${renderFinding(audio)}</div>
      ${this.renderWhoUsesWhat(audio)} ${this.renderChoices(audio)}
      <pbx-audio-devices .devices=${this.devices} .access=${this.access} @ask=${this.ask}></pbx-audio-devices>
      <pbx-audio-probes .probes=${audio.probes} @audio-changed=${this.changed}></pbx-audio-probes>
      <pbx-audio-calls
        .since=${audio.callsSince ?? null}
        .surroundings=${this.surroundings}
        @audio-changed=${this.changed}
      ></pbx-audio-calls>
      ${this.administrator ? html`<pbx-audio-conflicts .revision=${this.revision}></pbx-audio-conflicts>` : nothing}
      <pbx-audio-stored .audio=${audio} @audio-changed=${this.changed}></pbx-audio-stored>
    `;
  }

  private renderWhoUsesWhat(audio: AudioState) {
    if (audio.uses.length === 0) return nothing;
    return html`<section class="card" aria-labelledby="who">
      <h2 id="who">${t("audio.who")}</h2>
      <pbx-audio-picture .uses=${audio.uses}></pbx-audio-picture>
      <table aria-labelledby="who">
        <thead>
          <tr>
            <th scope="col">${t("audio.column.program")}</th>
            <th scope="col">${t("audio.column.device")}</th>
            <th scope="col">${t("audio.column.source")}</th>
          </tr>
        </thead>
        <tbody>
          ${audio.uses.map(
            (use) =>
              html`<tr>
                <td>${whoOf(use)}</td>
                <td>${use.label}</td>
                <td>${sourceOf(use)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>`;
  }

  private renderChoices(audio: AudioState) {
    const granted = this.access === "granted";
    return html`<section class="card" aria-labelledby="choose">
      <h2 id="choose">${t("audio.choose")}</h2>
      <p>${t(granted ? "audio.choose-text" : "audio.choose-first")}</p>
      <div class="choices">
        ${PROGRAMS.flatMap((program) => KINDS.map((kind) => this.renderChoice(audio, program, kind, granted)))}
      </div>
    </section>`;
  }

  private renderChoice(audio: AudioState, program: Program, kind: Kind, granted: boolean) {
    const id = `${program}-${kind}`;
    const declared = declaredUse(audio, program, kind)?.label ?? "";
    const labels = this.devices.filter((device) => device.kind === kind).map((device) => device.label);
    const options = declared === "" || labels.includes(declared) ? labels : [...labels, declared];
    return choice({
      id,
      label: t(`audio.choice.${program}.${kind}`),
      value: declared,
      disabled: !granted,
      options: [
        { value: "", label: t("audio.not-chosen") },
        ...options.map((option) => ({ value: option, label: option })),
      ],
      onChange: () => void this.declare(),
    });
  }

  private async begin() {
    this.task.trouble = null;
    const access = currentAccess();
    await this.take(api.audio());
    this.access = await access;
    if (this.access === "granted") await this.sendDevices();
  }

  private async ask() {
    this.access = await askForAccess();
    if (this.access === "granted") await this.sendDevices();
  }

  private async sendDevices() {
    const devices = await listDevices();
    if (JSON.stringify(devices) === JSON.stringify(this.devices)) return;
    this.devices = devices;
    await this.take(api.setDevices(devices));
  }

  /** Send the declared devices. A choice made during a request is sent after it. */
  private async declare() {
    const uses: DeclaredUse[] = [];
    for (const program of PROGRAMS) {
      for (const kind of KINDS) {
        const label = this.renderRoot.querySelector<HTMLSelectElement>(`#${program}-${kind}`)?.value ?? "";
        const known = this.devices.find((device) => device.kind === kind && device.label === label);
        if (label !== "") uses.push({ program, device: known ?? { kind, label, deviceId: "", groupId: "" } });
      }
    }
    const outcome = await this.task.run(async () => (this.audio = await api.declareUses(uses)));
    this.declaredAgain ||= outcome === "ignored";
    if (outcome === "ignored" || !this.declaredAgain) return;
    this.declaredAgain = false;
    await this.declare();
  }

  private changed(event: CustomEvent<AudioState>) {
    this.audio = event.detail;
  }

  private async take(answer: Promise<AudioState>) {
    await this.task.load(answer, (audio) => (this.audio = audio));
  }
}

function renderFinding({ finding }: AudioState) {
  const words = { code: finding.verdict, title: finding.title, detail: finding.detail, cure: "" };
  return html`<pbx-message intent=${INTENTS[finding.verdict]} .trouble=${words} data-verdict=${finding.verdict}>
    ${finding.steps.length > 0 ? renderSteps(finding.steps, finding.instead) : nothing}
    ${
      (finding.verdict === "conflict" || finding.verdict === "likely") && finding.steps.length === 0
        ? html`<p>${t("audio.no-other-device")}</p>`
        : nothing
    }
    ${
      finding.verdict !== "clear" && finding.verdict !== "conflict" && finding.missing.length > 0
        ? html`<p>${t("audio.missing")}</p>
            <ul>
              ${finding.missing.map((what) => html`<li>${what}</li>`)}
            </ul>`
        : nothing
    }
  </pbx-message>`;
}

function renderSteps(steps: AudioStep[], instead: AudioStep[]) {
  const list = (all: AudioStep[]) =>
    html`<ol>
      ${all.map((step) => html`<li>${step.text}</li>`)}
    </ol>`;
  return html`
    <p>${t("audio.cure")}</p>
    ${list(steps)}
    ${
      instead.length > 0
        ? html`<details>
            <summary>${t("audio.instead")}</summary>
            ${list(instead)}
          </details>`
        : nothing
    }
  `;
}

function declaredUse(audio: AudioState, program: Program, kind: Kind): AudioUse | undefined {
  return audio.stored.uses.find((use) => use.source === "declared" && use.program === program && use.kind === kind);
}
