// The packages that the service offers, with a link and the commands for the machine: all of them to administrators,
// the audio helper to everybody.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type DownloadLink, type Downloads } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { sectionStyles } from "../page-styles.js";
import { shared } from "../styles.js";
import { number, t, time, type Word } from "../words.js";

type Offered = Downloads["packages"][number];

/** The commands for each kind, to be run as root or in PowerShell. Every part comes from the service's own index. */
const COMMANDS: Record<string, (offered: Offered, url: string) => string[]> = {
  "connector-debian": ({ file, sha256 }, url) => [
    `curl -fO '${url}'`,
    `echo '${sha256}  ${file}' | sha256sum -c`,
    `apt install ./${file}`,
  ],
  "connector-container": ({ file, sha256 }, url) => [
    `curl -fO '${url}'`,
    `echo '${sha256}  ${file}' | sha256sum -c`,
    `podman load -i ${file}`,
  ],
  "connector-windows": powershell,
  "audio-helper-windows": powershell,
};

function powershell({ file }: Offered, url: string): string[] {
  return [
    `Invoke-WebRequest '${url}' -OutFile ${file}`,
    `(Get-FileHash ${file}).Hash.ToLower()`,
    `Expand-Archive ${file}`,
  ];
}

@customElement("pbx-downloads")
export class DownloadsSection extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    css`
      h3 {
        margin: 16px 0 4px;
        font: 600 16px/22px var(--fontFamilyBase);
      }
      p {
        margin: 0 0 8px;
      }
      code {
        display: block;
        overflow-wrap: anywhere;
        user-select: all;
      }
      pre {
        font: inherit;
        white-space: pre-wrap;
        background: var(--colorNeutralBackground3);
        border-radius: 4px;
        padding: 8px;
        margin: 0 0 8px;
      }
    `,
  ];

  /** Whether to offer the audio helper alone, inside its card on *Audio devices*. */
  @property({ type: Boolean }) helper = false;
  @state() private offered: Downloads | null = null;
  @state() private links: Readonly<Record<string, DownloadLink>> = {};
  private readonly task = new BusyController(this);

  override connectedCallback() {
    super.connectedCallback();
    const offers = this.helper ? api.helperDownloads() : api.downloads();
    void this.task.load(offers, (offered) => (this.offered = offered));
  }

  override render() {
    if (this.helper) return this.renderHelper();
    return html`<section class="card" aria-labelledby="downloads">
      <h2 id="downloads">${t("downloads.title")}</h2>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${this.offered === null ? nothing : this.renderOffered(this.offered)}
    </section>`;
  }

  private renderHelper() {
    const packages = this.offered?.packages.filter((one) => one.kind in COMMANDS) ?? [];
    return html`<pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${packages.length > 0 ? html`<p>${t("downloads.helper-text")}</p>` : nothing}
      ${packages.map((one) => this.renderPackage(one))}`;
  }

  private renderOffered({ configured, packages }: Downloads) {
    const known = packages.filter((one) => one.kind in COMMANDS);
    if (known.length === 0) return html`<p>${t(configured ? "downloads.none" : "downloads.off")}</p>`;
    return html`<p>${t("downloads.text")}</p>
      ${known.map((one) => this.renderPackage(one))}`;
  }

  private renderPackage(one: Offered) {
    const link = this.links[one.file];
    const size = number(Math.round(one.size / 1e5) / 10);
    return html`<h3>${t(`downloads.kind.${one.kind}` as Word)}</h3>
      <p>${t("downloads.facts", { version: one.version, architecture: one.architecture, size })}</p>
      <p class="hint">${t("downloads.checksum")} <code>${one.sha256}</code></p>
      ${button({
        label: t("downloads.link"),
        ariaLabel: t("downloads.link-one", { file: one.file }),
        disabled: this.task.busy,
        onClick: () => void this.makeLink(one.file),
      })}
      <div aria-live="polite">${link ? this.renderLink(one, link) : nothing}</div>`;
  }

  private renderLink(one: Offered, link: DownloadLink) {
    return html`<p><a href=${link.url} target="_blank" rel="noopener">${t("downloads.with-browser")}</a></p>
      <p>${t("downloads.until", { at: time(link.until) })}</p>
      <pre>${COMMANDS[one.kind]?.(one, link.url).map((line) => html`<code>${line}</code>`)}</pre>
      <p>${t(`downloads.next.${one.kind}` as Word)}</p>`;
  }

  private async makeLink(file: string) {
    await this.task.run(async () => {
      this.links = { ...this.links, [file]: await api.downloadLink(file) };
    });
  }
}
