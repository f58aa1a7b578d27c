// Controller for one task at a time: whether it is running, and what went wrong. Every page that calls the service
// has one.
import type { ReactiveController, ReactiveControllerHost } from "lit";
import { troubleOf, type Trouble } from "./api.js";
import { keepFocus } from "./focus.js";

type Host = ReactiveControllerHost & { readonly renderRoot: ParentNode };

/** `ignored` means that another task was running, so nothing was started. */
export type Outcome = "done" | "failed" | "ignored";

export class BusyController implements ReactiveController {
  private working = false;
  private problem: Trouble | null = null;

  /** `fields` maps the code of a problem to the id of the field that it concerns. */
  constructor(
    private readonly host: Host,
    private readonly fields: Readonly<Record<string, string>> = {},
  ) {
    host.addController(this);
    keepFocus(host);
  }

  hostConnected(): void {}

  get busy(): boolean {
    return this.working;
  }

  get trouble(): Trouble | null {
    return this.problem;
  }

  set trouble(trouble: Trouble | null) {
    this.problem = trouble;
    this.host.requestUpdate();
  }

  /** Id of the field that the problem concerns; empty if there is none. */
  get invalid(): string {
    return this.fields[this.problem?.code ?? ""] ?? "";
  }

  /** Show a problem and focus the field that it concerns. */
  fail(trouble: Trouble): void {
    this.trouble = trouble;
    if (this.invalid !== "") this.host.renderRoot.querySelector<HTMLElement>(`#${this.invalid}`)?.focus();
  }

  /**
   * Run a task that the user requested. Clears the last problem first; ignores a second request while one is
   * running.
   */
  async run(work: () => Promise<unknown>): Promise<Outcome> {
    if (this.working) return "ignored";
    this.working = true;
    this.trouble = null;
    try {
      await work();
      return "done";
    } catch (error) {
      this.fail(troubleOf(error));
      return "failed";
    } finally {
      this.working = false;
      this.host.requestUpdate();
    }
  }

  /** Load the page's content. The old content and the last problem stay visible until the new content arrives. */
  async load<T>(asked: Promise<T>, take: (answer: T) => void): Promise<void> {
    try {
      take(await asked);
      this.trouble = null;
    } catch (error) {
      this.fail(troubleOf(error));
    }
  }
}
