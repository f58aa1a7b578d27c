// The app: which page is shown, what is known of the person, and live updates.
import { LitElement, css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import { api, troubleOf, type MyState, type SessionEnd, type Trouble } from "./api.js";
import { button } from "./button.js";
import { closeDialog, enterTeams, type Surroundings } from "./host.js";
import { watch } from "./live.js";
import { placeholder } from "./placeholder.js";
import { shared } from "./styles.js";
import { applyTheme } from "./theme.js";
import { dateTime, setLocale, t, type Word } from "./words.js";

const PAGES = ["state", "audio", "licences", "connection"] as const;
const FOR_ADMINISTRATORS: readonly string[] = ["licences", "connection"];
type Page = (typeof PAGES)[number];
const FETCH: Record<Page, () => Promise<unknown>> = {
  state: () => Promise.resolve(),
  audio: () => import("./pages/audio.js"),
  licences: () => import("./pages/licences.js"),
  connection: () => import("./pages/connection.js"),
};

@customElement("pbx-app")
export class App extends LitElement {
  static override styles = [
    shared,
    css`
      main {
        max-width: 1100px;
        margin: 0 auto;
        padding: 16px;
      }
      nav {
        margin-bottom: 16px;
      }
      /* On a phone the pages take a second row instead of leaving the screen. */
      fluent-tablist {
        flex-wrap: wrap;
      }
    `,
  ];

  @state() private surroundings: Surroundings | null = null;
  @state() private outside = false;
  @state() private state: MyState | null = null;
  @state() private trouble: Trouble | null = null;
  @state() private page: Page = "state";
  @state() private live = true;
  @state() private notEntered = false;
  /** Signing in at another PBX while the session here goes on. */
  @state() private elsewhere = false;
  private readonly fetched = new Set<Page>();
  @state() private ready: ReadonlySet<Page> = new Set(["state"]);
  @state() private licencesRevision = 1;
  @state() private audioRevision = 1;
  private readonly inDialog = new URLSearchParams(location.search).has("dialog");
  private readonly leaving = new AbortController();

  override connectedCallback() {
    super.connectedCallback();
    void this.start();
  }

  override disconnectedCallback() {
    this.leaving.abort();
    super.disconnectedCallback();
  }

  override render() {
    return html`<main
      @signed-in=${this.signedIn}
      @signed-out=${this.signedOut}
      @not-entered=${() => (this.notEntered = true)}
      @elsewhere=${() => (this.elsewhere = true)}
    >
      ${this.renderPage()}
    </main>`;
  }

  private renderPage() {
    if (this.outside) {
      return html`<h1>${t("app.outside-title")}</h1>
        <p>${t("app.outside-text")}</p>
        <p><a href="https://teams.microsoft.com/">${t("app.outside-link")}</a></p>`;
    }
    if (this.surroundings === null || this.state === null) {
      return html`<h1 class="visually-hidden">${t("app.title")}</h1>
        ${placeholder(this.surroundings === null ? null : this.trouble, () => this.load(), 320)}`;
    }
    return html`
      ${this.live ? nothing : html`<pbx-message intent="warning" text=${t("live.lost")}></pbx-message>`}
      ${this.state.signedIn ? this.renderSignedIn(this.state) : this.renderSignedOut(this.state, this.surroundings)}
    `;
  }

  private renderSignedOut(state: MyState, surroundings: Surroundings) {
    const end = state.sessionEnd;
    const seatKept = Boolean(state.waiting?.offeredUntil);
    return html`
      ${end ? html`<pbx-message id="session-end" intent="warning" .trouble=${endOf(end)}></pbx-message>` : nothing}
      ${state.waiting ? html`<pbx-waiting .place=${state.waiting}></pbx-waiting>` : nothing}
      ${
        state.offers.length > 0
          ? html`<pbx-offers .offers=${state.offers} ?seat-kept=${seatKept}></pbx-offers>`
          : nothing
      }
      ${
        this.isEntering(state)
          ? nothing
          : html`<pbx-sign-in
              ?second=${state.offers.length > 0}
              ?seat-kept=${seatKept}
              .surroundings=${surroundings}
            ></pbx-sign-in>`
      }
    `;
  }

  /** The main PBX signs the person in by itself: there is nothing to type unless that fails. */
  private isEntering(state: MyState): boolean {
    return !this.notEntered && state.offers.some((offer) => offer.automatic);
  }

  private renderElsewhere(surroundings: Surroundings) {
    return html`<p>${button({ label: t("offers.back"), onClick: () => (this.elsewhere = false) })}</p>
      <pbx-sign-in .surroundings=${surroundings}></pbx-sign-in>`;
  }

  private renderSignedIn(state: MyState) {
    if (this.elsewhere && this.surroundings !== null) return this.renderElsewhere(this.surroundings);
    const administrator = state.person?.isAdministrator ?? false;
    const pages = PAGES.filter((page) => administrator || !FOR_ADMINISTRATORS.includes(page));
    const page = pages.includes(this.page) ? this.page : "state";
    void this.fetch(page);
    return html`
      <nav>
        <fluent-tablist
          role="tablist"
          aria-label=${t("nav.label")}
          activeid=${`tab-${page}`}
          @change=${this.changePage}
        >
          ${pages.map(
            (name) =>
              html`<fluent-tab role="tab" id=${`tab-${name}`} aria-controls="page" aria-selected=${page === name}
                >${t(`nav.${name}`)}</fluent-tab
              >`,
          )}
        </fluent-tablist>
      </nav>
      ${state.audio && page !== "audio" ? this.renderAudioWarning(state.audio) : nothing}
      <div role="tabpanel" id="page" aria-labelledby=${`tab-${page}`}>${this.renderPageOf(page, state)}</div>
    `;
  }

  private renderAudioWarning(verdict: "conflict" | "likely") {
    const words = t(verdict === "conflict" ? "audio.warning-conflict" : "audio.warning-likely");
    return html`<pbx-message intent="warning" text=${words}>
      <fluent-button role="button" size="small" @click=${() => (this.page = "audio")}
        >${t("audio.warning-show")}</fluent-button
      >
    </pbx-message>`;
  }

  /** Everybody's first view does without the large pages. */
  private async fetch(page: Page) {
    if (this.fetched.has(page)) return;
    const fetched = this.fetched.add(page);
    try {
      await FETCH[page]();
      this.ready = new Set([...this.ready, page]);
    } catch {
      fetched.delete(page); // tried again with the next change
      this.live = false;
    }
  }

  private renderPageOf(page: Page, state: MyState) {
    if (!this.ready.has(page)) {
      return html`<h1>${t(`nav.${page}`)}</h1>
        <pbx-skeleton height="640"></pbx-skeleton>`;
    }
    switch (page) {
      case "audio":
        return html`<pbx-audio
          .revision=${this.audioRevision}
          .surroundings=${this.surroundings}
          ?administrator=${state.person?.isAdministrator ?? false}
        ></pbx-audio>`;
      case "licences":
        return html`<pbx-licences .revision=${this.licencesRevision}></pbx-licences>`;
      case "connection":
        return html`<pbx-connection .revision=${this.licencesRevision}></pbx-connection>`;
      case "state":
        return html`<pbx-my-state .state=${state}></pbx-my-state>`;
    }
  }

  private async start() {
    setLocale(navigator.language);
    applyTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "default");
    try {
      this.surroundings = await enterTeams();
    } catch {
      this.outside = true;
      return;
    }
    this.page = PAGES.find((page) => page === this.surroundings?.page) ?? "state";
    document.title = t("app.title");
    await this.load();
    void watch(
      {
        onState: (state) => {
          this.state = state;
          this.trouble = null;
        },
        onLicences: () => (this.licencesRevision += 1),
        onAudio: () => (this.audioRevision += 1),
        onLive: (live) => (this.live = live),
      },
      this.leaving.signal,
    );
  }

  private async load() {
    try {
      this.state = await api.state();
      this.trouble = null;
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }

  private changePage(event: CustomEvent) {
    const id = (event.target as HTMLElement & { activeid: string }).activeid;
    this.page = PAGES.find((page) => `tab-${page}` === id) ?? "state";
  }

  private signedIn(event: CustomEvent<MyState>) {
    this.state = event.detail;
    this.elsewhere = false;
    this.page = "state";
    void this.focusHeading("pbx-my-state");
    if (this.inDialog) closeDialog({ signedIn: true });
  }

  private signedOut(event: CustomEvent<MyState>) {
    const wasSignedIn = this.state?.signedIn ?? false;
    this.state = event.detail;
    if (wasSignedIn) void this.focusHeading("pbx-offers, pbx-sign-in");
  }

  /** What had the focus is gone: the next thing to read gets it, instead of the beginning of the document. */
  private async focusHeading(page: string) {
    await this.updateComplete;
    const shown = this.renderRoot.querySelector<LitElement>(page);
    await shown?.updateComplete;
    shown?.renderRoot.querySelector<HTMLElement>("h1")?.focus();
  }
}

function endOf(end: SessionEnd): Trouble {
  const values = { by: end.endedBy, pbxName: end.pbxName, at: dateTime(end.at) };
  return {
    code: end.cause,
    title: t(`end.${end.cause}.title` as Word),
    detail: t(`end.${end.cause}.detail` as Word, values),
    cure: end.reason ? t("end.reason", { reason: end.reason }) : "",
  };
}
