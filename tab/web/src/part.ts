// A part of the app that is loaded on demand. A failed load is retried; if it keeps failing, the user sees why and
// what helps: trying again, or reloading the app after an update of the service.
import { html, type ReactiveController, type ReactiveControllerHost } from "lit";
import { ownTrouble, type Trouble } from "./api.js";
import { button } from "./button.js";
import { t } from "./words.js";

const PAUSES_MS = [0, 500, 2_000];

export class Part implements ReactiveController {
  ready = false;
  private loading = false;
  /** Settles when the last request has succeeded or failed. */
  arrived: Promise<void> = Promise.resolve();
  private trouble: Trouble | null = null;

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly fetch: () => Promise<unknown>,
  ) {
    host.addController(this);
  }

  hostConnected(): void {}

  /** Load the part, unless it is loaded or loading. After a failure, the user decides when to try again. */
  load(): Promise<void> {
    if (!this.ready && !this.loading && this.trouble === null) this.arrived = this.fetchNow();
    return this.arrived;
  }

  private async fetchNow(): Promise<void> {
    this.loading = true;
    try {
      for (const pause of PAUSES_MS) {
        await new Promise((resolve) => setTimeout(resolve, pause));
        this.ready = await this.fetch().then(
          () => true,
          () => false,
        );
        if (this.ready) return;
      }
      this.trouble = ownTrouble((await isOutdated()) ? "outdated" : "network");
    } finally {
      this.loading = false;
      this.host.requestUpdate();
    }
  }

  /** Render the placeholder for the part; `height` in pixels. */
  placeholder(height: number) {
    if (this.trouble === null) return html`<pbx-skeleton height=${height}></pbx-skeleton>`;
    const outdated = this.trouble.code === "outdated";
    return html`<pbx-message .trouble=${this.trouble}></pbx-message>
      <div>
        ${button({
          label: t(outdated ? "app.reload" : "app.retry"),
          onClick: outdated ? () => location.reload() : () => this.retry(),
        })}
      </div>`;
  }

  private retry() {
    this.trouble = null;
    this.host.requestUpdate();
    void this.load();
  }
}

/** Return whether the service now has another version of this app, whose files have other names. */
export async function isOutdated(): Promise<boolean> {
  const own = document.querySelector('script[type="module"][src]')?.getAttribute("src");
  try {
    const page = await fetch(location.pathname, { cache: "no-store" });
    return page.ok && !!own && !(await page.text()).includes(own);
  } catch {
    return false;
  }
}
