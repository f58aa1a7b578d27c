// The app: which page is shown, what is known of the person, and live updates.
import { LitElement, css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import {
  api,
  troubleOf,
  type AudioState,
  type HoldersChange,
  type MyState,
  type SessionEnd,
  type Trouble,
} from "./api.js";
import { button } from "./button.js";
import { closeDialog, enterTeams, type Surroundings } from "./host.js";
import { watch, type Change } from "./live.js";
import { person } from "./person.js";
import { placeholder } from "./placeholder.js";
import { shared } from "./styles.js";
import { applyTheme } from "./theme.js";
import { dateTime, rich, setLocale, t, type Word } from "./words.js";

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
  /** Raised when something may have changed unseen. */
  @state() private revision = 1;
  @state() private connectionRevision = 1;
  @state() private holders: HoldersChange | null = null;
  @state() private audio: AudioState | null = null;
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

  /** What had the focus went with the page that showed it, whatever way the new state came: by an answer or by itself. */
  override updated(changed: Map<string, unknown>) {
    const before = changed.get("state") as MyState | null | undefined;
    if (!before || !this.state || before.signedIn === this.state.signedIn || !document.hasFocus()) return;
    void this.focusHeading(this.state.signedIn ? "#page > *" : "pbx-offers, pbx-sign-in");
  }

  override render() {
    return html`<main
      @signed-in=${this.signedIn}
      @signed-out=${this.signedOut}
      @not-entered=${() => (this.notEntered = true)}
      @elsewhere=${() => (this.elsewhere = true)}
    >
      ${this.renderPage()}
      <pbx-toasts></pbx-toasts>
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
      ${button({ label: t("audio.warning-show"), small: true, onClick: () => (this.page = "audio") })}
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
          .revision=${this.revision}
          .news=${this.audio}
          .surroundings=${this.surroundings}
          ?administrator=${state.person?.isAdministrator ?? false}
        ></pbx-audio>`;
      case "licences":
        return html`<pbx-licences .revision=${this.revision} .news=${this.holders}></pbx-licences>`;
      case "connection":
        return html`<pbx-connection .revision=${this.connectionRevision}></pbx-connection>`;
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
        onChange: (change) => this.take(change),
        onMissed: () => {
          this.revision += 1;
          this.connectionRevision += 1;
        },
        onLive: (live) => (this.live = live),
      },
      this.leaving.signal,
    );
  }

  /** Applies a change to what is known already. */
  private take({ name, content }: Change) {
    const state = this.state;
    switch (name) {
      case "state":
        this.state = content;
        this.trouble = null;
        break;
      case "seats":
        if (state?.licence) this.state = { ...state, licence: { ...state.licence, ...content } };
        break;
      case "connection":
        if (state?.connection) this.state = { ...state, connection: content };
        this.connectionRevision += 1;
        break;
      case "waiting":
        if (state?.waiting) this.state = { ...state, waiting: content };
        break;
      case "audio": {
        const { verdict } = content.finding;
        const warns = verdict === "conflict" || verdict === "likely";
        if (state?.signedIn) this.state = { ...state, audio: warns ? verdict : null };
        this.audio = content;
        break;
      }
      case "holders":
        this.holders = content;
        break;
      case "claims":
        this.connectionRevision += 1;
    }
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
    this.state = event.detail;
  }

  /** The next thing to read gets the focus, instead of the beginning of the document. */
  private async focusHeading(page: string) {
    await this.updateComplete;
    const shown = this.renderRoot.querySelector<LitElement>(page);
    await shown?.updateComplete;
    const heading = shown?.renderRoot?.querySelector<HTMLElement>("h1");
    if (!heading) return;
    heading.tabIndex = -1;
    heading.focus();
  }
}

function endOf(end: SessionEnd): Trouble {
  const values = { by: person(end.endedBy ?? ""), pbxName: end.pbxName, at: dateTime(end.at) };
  return {
    code: end.cause,
    title: t(`end.${end.cause}.title` as Word),
    detail: rich(`end.${end.cause}.detail` as Word, values),
    cure: end.reason ? t("end.reason", { reason: end.reason }) : "",
  };
}
