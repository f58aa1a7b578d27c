// For administrators: every part of the connection to the PBX, its history, the diagnostics, and the hand-over of
// the name.
import { LitElement, css, html, nothing, svg } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, type ConnectionReport, type DoctorFindings, type MyState, type RepairName } from "../api.js";
import { BusyController } from "../busy.js";
import { Paced } from "../paced.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { sectionStyles, tableStyles } from "../page-styles.js";
import "../page-words.js";
import "./downloads.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { dateTime, number, t, type Word } from "../words.js";
import { renderCapabilities } from "./connection-capabilities.js";
import "./connection-chain.js";
import { repairButton } from "./connection-repairs.js";

const WIDTH = 600;
const HEIGHT = 80;
const HOURS = 7 * 24;
const HOUR_MS = 3_600_000;
const LOOK_MS = 2_000;
const LAMP_OF = { ok: "green", warning: "yellow", failed: "red", skipped: "off" } as const;

type Other = ConnectionReport["others"][number];

@customElement("pbx-connection")
export class ConnectionPage extends LitElement {
  static override styles = [
    shared,
    dialogStyles,
    sectionStyles,
    tableStyles,
    css`
      ul {
        list-style: none;
        margin: 0;
        padding: 0;
      }
      .parts {
        display: grid;
        gap: 8px 16px;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 240px), 1fr));
      }
      .light {
        display: grid;
        grid-template-columns: 20px 1fr;
        gap: 8px;
        align-items: start;
      }
      svg.lamp {
        width: 20px;
        height: 20px;
      }
      .green {
        fill: var(--colorStatusSuccessBackground3, #107c10);
      }
      .yellow {
        fill: var(--colorStatusWarningBackground3, #bc4b09);
      }
      .red {
        fill: var(--colorStatusDangerBackground3, #c50f1f);
      }
      .off {
        fill: none;
        stroke: var(--colorNeutralForeground2);
        stroke-width: 2;
      }
      .mark {
        fill: none;
        stroke: var(--colorNeutralForegroundOnBrand, #fff);
        stroke-width: 2;
      }
      .name {
        font-weight: 600;
      }
      .light p {
        margin: 0 0 4px;
        overflow-wrap: anywhere;
      }
      .events li {
        padding: 4px 0;
        border-bottom: 1px solid var(--colorNeutralStroke2);
        display: grid;
        grid-template-columns: minmax(100px, 170px) 1fr;
        gap: 4px 12px;
      }
      .events span {
        overflow-wrap: anywhere;
      }
      @media (max-width: 480px) {
        .events li {
          grid-template-columns: 1fr;
        }
      }
      .chart {
        width: 100%;
        height: 96px;
        display: block;
      }
      .bar {
        fill: var(--colorCompoundBrandBackground);
      }
      .base {
        stroke: var(--colorNeutralStroke1);
        vector-effect: non-scaling-stroke;
      }
      .scroll {
        max-height: 280px;
        margin-bottom: 12px;
      }
      #events {
        margin-top: 16px;
      }
      .other {
        margin-bottom: 12px;
      }
    `,
  ];

  /** Increased whenever something about the PBX has changed. */
  @property({ type: Number }) revision = 0;
  @state() private report: ConnectionReport | null = null;
  private readonly task = new BusyController(this);
  private readonly doctor = new BusyController(this);
  private readonly look = new Paced(this, () => void this.load(), LOOK_MS);
  @state() private findings: DoctorFindings | null = null;
  @state() private handing: Other | null = null;
  @query("pbx-dialog") private dialog!: Dialog;

  constructor() {
    super();
    this.addEventListener("pbx-repair", (event) => {
      if ((event as CustomEvent<RepairName>).detail === "examine") void this.examine();
    });
  }

  override willUpdate(changed: Map<string, unknown>) {
    if (!changed.has("revision")) return;
    if (this.report === null) void this.load();
    else this.look.ask();
  }

  override render() {
    return html`<h1>${t("connection.title")}</h1>
      ${
        this.report === null
          ? placeholder(this.task.trouble, () => this.load(), 640)
          : html`<pbx-message .trouble=${this.task.trouble}></pbx-message>${this.renderReport(this.report)}`
      }`;
  }

  private renderReport(report: ConnectionReport) {
    return html`
      <pbx-connection-chain .report=${report}></pbx-connection-chain>
      ${report.others.length > 0 ? this.renderOthers(report) : nothing}
      <section class="card" aria-labelledby="parts" aria-live="polite">
        <h2 id="parts">${t("connection.parts")}</h2>
        <ul class="parts">
          ${report.parts.map(
            (part) =>
              html`<li class="light" id=${`part-${part.part}`} data-light=${part.light}>
                ${lamp(part.light)}
                <div>
                  <p>
                    <span class="name">${t(`connection.part.${part.part}` as Word)}</span>:
                    ${t(`connection.light.${part.light}` as Word)}
                  </p>
                  ${renderWords(part.finding)} ${repairButton(part.repair, t(`connection.part.${part.part}` as Word))}
                </div>
              </li>`,
          )}
        </ul>
      </section>
      ${this.renderFacts(report)} ${renderCapabilities(report)}
      <pbx-connection-repairs .report=${report} @repaired=${() => this.load()}></pbx-connection-repairs>
      ${this.renderDoctor(report)}
      <pbx-downloads></pbx-downloads>
      ${this.renderHistory(report)} ${this.renderDialog(report)}
    `;
  }

  private renderOthers(report: ConnectionReport) {
    return html`<section class="card" aria-labelledby="others">
      <h2 id="others">${t("connection.others")}</h2>
      <p>${t("connection.others-text", { name: report.pbxName })}</p>
      ${report.others.map(
        (other) =>
          html`<div class="other">
            <p>
              ${other.identity}<br />
              ${t("connection.others-last", {
                at: dateTime(other.at),
                address: other.address,
                version: other.connectorVersion,
              })}
            </p>
            ${button({
              label: t("connection.hand-over"),
              ariaLabel: t("connection.hand-over-one", { identity: other.identity }),
              onClick: (event) => void this.ask(other, event.target),
            })}
          </div>`,
      )}
    </section>`;
  }

  private renderFacts(report: ConnectionReport) {
    const { roundTripMs, oldKeyUntil } = report;
    const facts: [Word, string | null][] = [
      [
        report.connected ? "connection.linked-since" : "connection.down-since",
        report.since ? dateTime(report.since) : null,
      ],
      [
        "connection.round-trip",
        roundTripMs === null ? null : t("connection.ms", { ms: Math.max(1, Math.round(roundTripMs)) }),
      ],
      ["connection.pbx-version", report.pbxVersion],
      ["connection.connector-version", report.connectorVersion],
      ["connection.identity", report.identity],
    ];
    if (oldKeyUntil && new Date(oldKeyUntil) > new Date()) facts.push(["connection.old-key", dateTime(oldKeyUntil)]);
    return html`<section class="card" aria-labelledby="facts">
      <h2 id="facts">${report.pbxName}</h2>
      <details>
        <summary>${t("state.details")}</summary>
        <dl>
          ${facts.map(
            ([word, value]) =>
              html`<dt>${t(word)}</dt>
                <dd>${value ?? t("state.unknown")}</dd>`,
          )}
        </dl>
      </details>
    </section>`;
  }

  private renderDoctor(report: ConnectionReport) {
    return html`<section class="card" aria-labelledby="doctor">
      <h2 id="doctor">${t("connection.doctor")}</h2>
      <p>${t(doctorText(report))}</p>
      ${
        report.repairs.offered.includes("examine")
          ? button({
              id: "examine",
              label: t(this.doctor.busy ? "connection.examining" : "connection.examine"),
              disabled: this.doctor.busy,
              onClick: () => void this.examine(),
            })
          : nothing
      }
      <pbx-message .trouble=${this.doctor.trouble}></pbx-message>
      <div role="status">${this.findings === null ? nothing : this.renderFindings(this.findings)}</div>
    </section>`;
  }

  private renderFindings(findings: DoctorFindings) {
    return html`<p>${t("connection.examined", { at: dateTime(findings.at) })}</p>
      <ul id="findings">
        ${findings.steps.map(
          (step) =>
            html`<li class="light" data-step=${step.step} data-outcome=${step.outcome}>
              ${lamp(LAMP_OF[step.outcome])}
              <div>
                <p><span class="name">${step.title}</span>: ${t(`connection.outcome.${step.outcome}` as Word)}</p>
                ${step.evidence ? html`<p class="hint">${step.evidence}</p>` : nothing} ${renderWords(step.words)}
                ${repairButton(step.repair, step.title)}
              </div>
            </li>`,
        )}
      </ul>`;
  }

  private renderHistory(report: ConnectionReport) {
    const openings = report.hours.reduce((sum, hour) => sum + hour.links, 0);
    const words = t("connection.chart", { count: openings });
    return html`<section class="card" aria-labelledby="history">
      <h2 id="history">${t("connection.history")}</h2>
      <p>${words}</p>
      ${renderChart(report.hours, words)}
      <details>
        <summary>${t("usage.table")}</summary>
        <div class="scroll" tabindex="0" role="group" aria-labelledby="history">
          <table class="numbers" aria-labelledby="history">
            <thead>
              <tr>
                <th scope="col">${t("usage.from")}</th>
                <th scope="col">${t("connection.openings")}</th>
              </tr>
            </thead>
            <tbody>
              ${report.hours.map(
                (hour) =>
                  html`<tr>
                    <th scope="row">${dateTime(hour.start)}</th>
                    <td>${number(hour.links)}</td>
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
      </details>
      <h2 id="events">${t("connection.events")}</h2>
      <div class="scroll" tabindex="0" role="group" aria-labelledby="events">
        <ul class="events">
          ${report.events.map(
            (event) =>
              html`<li>
                <span class="hint">${dateTime(event.at)}</span>
                <span
                  >${event.text}${event.detail ? html`<br /><span class="hint">${event.detail}</span>` : nothing}</span
                >
              </li>`,
          )}
        </ul>
      </div>
    </section>`;
  }

  private renderDialog(report: ConnectionReport) {
    return html`<pbx-dialog
      name="hand-over"
      enter
      .heading=${t("connection.hand-over-title", { name: report.pbxName })}
      .content=${html`<p>${t("connection.hand-over-text", { identity: this.handing?.identity ?? "" })}</p>`}
      .confirm=${t(this.task.busy ? "connection.handing-over" : "connection.hand-over")}
      ?busy=${this.task.busy}
      @confirmed=${this.handOver}
    ></pbx-dialog>`;
  }

  private async load() {
    await this.task.load(api.connection(), (report) => (this.report = report));
  }

  private async examine() {
    await this.doctor.run(async () => (this.findings = await api.examineConnection()));
  }

  private async ask(other: Other, opener: EventTarget | null) {
    this.handing = other;
    await this.updateComplete;
    await this.dialog.open(opener);
  }

  private async handOver() {
    const { handing } = this;
    if (handing === null) return;
    await this.task.run(async () => {
      const detail = await api.handOver(handing.identity);
      // The hand-over has also ended the administrator's own session.
      this.dispatchEvent(new CustomEvent<MyState>("signed-out", { detail, bubbles: true, composed: true }));
    });
    this.dialog.close();
  }
}

function doctorText(report: ConnectionReport): Word {
  if (report.repairs.offered.includes("examine")) return "connection.doctor-text";
  return report.connected ? "connection.doctor-refused" : "connection.doctor-local";
}

function renderWords(words: ConnectionReport["parts"][number]["finding"]) {
  return words
    ? html`<p>${words.title}. ${words.detail}</p>
        <p>${words.cure}</p>`
    : nothing;
}

/** Draw a bar for each hour in which the connection was opened; the table next to it has the same content. */
function renderChart(hours: ConnectionReport["hours"], words: string) {
  const now = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const top = Math.max(...hours.map((hour) => hour.links), 4);
  const step = WIDTH / HOURS;
  return html`<svg
    class="chart"
    viewBox="0 0 ${WIDTH} ${HEIGHT + 2}"
    preserveAspectRatio="none"
    role="img"
    aria-label=${words}
  >
    <line class="base" x1="0" x2=${WIDTH} y1=${HEIGHT} y2=${HEIGHT} />
    ${hours.map((hour) => {
      const index = HOURS - 1 - Math.round((now - Date.parse(hour.start)) / HOUR_MS);
      const height = (hour.links / top) * (HEIGHT - 4);
      return svg`<rect class="bar" x=${index * step} y=${HEIGHT - height} width=${step} height=${height} />`;
    })}
  </svg>`;
}

/** Draw a status lamp, which has a different shape for each colour. */
function lamp(light: "green" | "yellow" | "red" | "off") {
  const marks = {
    green: "M5 10.5 L9 14 L15 6.5",
    yellow: "M10 4.5 V11.5 M10 13.5 V15.5",
    red: "M6 6 L14 14 M14 6 L6 14",
    off: "",
  };
  return html`<svg class="lamp" viewBox="0 0 20 20" aria-hidden="true">
    <circle class=${light} cx="10" cy="10" r="9" />
    ${marks[light] ? svg`<path class="mark" d=${marks[light]} />` : nothing}
  </svg>`;
}
