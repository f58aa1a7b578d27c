// One piece of work at a time, and what went wrong.
import type { ReactiveController } from "lit";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { ProblemError, ownTrouble } from "../src/api.js";
import { BusyController } from "../src/busy.js";
import { KeyFault } from "../src/pbxkey.js";
import { setLocale } from "../src/words.js";

// Teams and Fluent's theme are the browser's surroundings, not ours.
vi.mock("@fluentui/web-components/theme/index.js", () => ({ setTheme: () => {} }));
vi.mock("@microsoft/teams-js", () => ({ app: {}, authentication: {}, dialog: {} }));

/** What a controller needs of a page, without a browser. */
class Page {
  readonly controllers: ReactiveController[] = [];
  readonly updateComplete = Promise.resolve(true);
  readonly focused: string[] = [];
  readonly renderRoot = {
    querySelector: (selector: string) => ({ focus: () => this.focused.push(selector) }),
  } as unknown as ParentNode;
  updates = 0;

  addController(controller: ReactiveController) {
    this.controllers.push(controller);
  }
  removeController() {}
  requestUpdate() {
    this.updates += 1;
  }
}

const refusal = () => new ProblemError({ code: "wrong-key", title: "No", detail: "It is wrong", cure: "Look again" });
let page: Page;
let task: BusyController;

beforeEach(() => {
  vi.stubGlobal("document", { documentElement: {} });
  setLocale("en");
  page = new Page();
  task = new BusyController(page, { "wrong-key": "pbx-key", "malformed-key": "pbx-key" });
});

describe("work", () => {
  it("is busy until it is done", async () => {
    let finish = () => {};
    const running = task.run(() => new Promise<void>((resolve) => (finish = resolve)));
    expect(task.busy).toBe(true);
    finish();
    expect(await running).toBe("done");
    expect(task.busy).toBe(false);
    expect(page.updates).toBeGreaterThanOrEqual(2);
  });

  it("is begun once, however often it is asked for", async () => {
    const work = vi.fn(() => Promise.resolve());
    expect(await Promise.all([task.run(work), task.run(work)])).toEqual(["done", "ignored"]);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it("that fails says why, and puts the cursor where it is to be mended", async () => {
    expect(await task.run(() => Promise.reject(refusal()))).toBe("failed");
    expect(task.trouble?.code).toBe("wrong-key");
    expect(task.invalid).toBe("pbx-key");
    expect(page.focused).toEqual(["#pbx-key"]);
    expect(task.busy).toBe(false);
  });

  it("that fails in the browser is told in the browser's own words", async () => {
    await task.run(() => Promise.reject(new KeyFault("malformed-key")));
    expect(task.trouble).toEqual(ownTrouble("malformed-key"));
    await task.run(() => Promise.reject(new TypeError("Failed to fetch")));
    expect(task.trouble?.code).toBe("network");
  });

  it("clears the trouble of the last time as it begins", async () => {
    task.trouble = ownTrouble("network");
    const running = task.run(() => Promise.resolve());
    expect(task.trouble).toBeNull();
    await running;
  });
});

describe("loading", () => {
  it("hands over the answer and clears the trouble", async () => {
    task.trouble = ownTrouble("network");
    const taken: number[] = [];
    await task.load(Promise.resolve(3), (answer) => taken.push(answer));
    expect(taken).toEqual([3]);
    expect(task.trouble).toBeNull();
    expect(task.busy).toBe(false);
  });

  it("that fails takes nothing", async () => {
    const taken: number[] = [];
    await task.load(Promise.reject<number>(refusal()), (answer) => taken.push(answer));
    expect(taken).toEqual([]);
    expect(task.trouble?.code).toBe("wrong-key");
  });
});
