// Live updates: what each event does, and coming back when they end.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { watch, type Watcher } from "../src/live.js";

// Teams and Fluent's theme are the browser's surroundings, not ours.
vi.mock("@fluentui/web-components/theme/index.js", () => ({ setTheme: () => {} }));
vi.mock("@microsoft/teams-js", () => ({
  app: {},
  dialog: {},
  authentication: { getAuthToken: () => Promise.resolve("token") },
}));

class Seen implements Watcher {
  readonly changes: unknown[] = [];
  missed = 0;
  readonly live: boolean[] = [];

  onChange(change: unknown) {
    this.changes.push(change);
  }
  onMissed() {
    this.missed += 1;
  }
  onLive(live: boolean) {
    this.live.push(live);
  }
}

/** A stream of events that ends. */
function stream(...parts: string[]): Response {
  const encoder = new TextEncoder();
  return new Response(
    new ReadableStream({
      start(controller) {
        for (const part of parts) controller.enqueue(encoder.encode(part));
        controller.close();
      },
    }),
  );
}

const asked = vi.fn<(path: string) => Promise<Response>>();
let seen: Seen;
let leaving: AbortController;
let page: EventTarget & { visibilityState: string; documentElement: { lang: string } };

beforeEach(() => {
  vi.useFakeTimers();
  page = Object.assign(new EventTarget(), { visibilityState: "visible", documentElement: { lang: "" } });
  const view = new EventTarget();
  vi.stubGlobal("document", page);
  vi.stubGlobal("addEventListener", view.addEventListener.bind(view));
  vi.stubGlobal("fetch", asked);
  seen = new Seen();
  leaving = new AbortController();
});

afterEach(() => {
  leaving.abort();
  asked.mockReset();
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const until = (holds: () => void) => vi.waitFor(holds, { timeout: 20_000 });
const never = () => new Promise<Response>(() => {});

it("hands every change to the page, in however many parts it comes", async () => {
  asked.mockResolvedValueOnce(
    stream(
      'event: state\ndata: {"signed',
      'In": true}\n\nevent: se',
      'ats\ndata: {"seatsUsed": 2, "seatsTotal": 3}\n\n: keep-alive\n\n',
      "event: else\ndata: {}\n\nevent: missed\ndata: {}\n\n",
    ),
  );
  asked.mockImplementation(never);
  void watch(seen, leaving.signal);
  await until(() => expect(asked).toHaveBeenCalledTimes(2));
  expect(seen.changes).toEqual([
    { name: "state", content: { signedIn: true } },
    { name: "seats", content: { seatsUsed: 2, seatsTotal: 3 } },
  ]);
  // Once when the stream began, and once when the service said so.
  expect(seen.missed).toBe(2);
  // Ended by the service: it comes back without a word.
  expect(seen.live).toEqual([true]);
});

it("comes back after a failure, after longer and longer pauses, and says so", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  asked.mockRejectedValue(new TypeError("Failed to fetch"));
  void watch(seen, leaving.signal);
  await vi.advanceTimersByTimeAsync(0);
  for (const [calls, pause] of [1, 2, 4, 8, 16, 30, 30].entries()) {
    await vi.advanceTimersByTimeAsync(pause * 1_000 - 1);
    expect(asked).toHaveBeenCalledTimes(calls + 1);
    await vi.advanceTimersByTimeAsync(1);
  }
  expect(asked).toHaveBeenCalledTimes(8);
  expect(seen.live).toEqual(Array(8).fill(false));
});

it("waits until somebody looks, once newer pages have taken its place", async () => {
  page.visibilityState = "hidden";
  asked.mockResolvedValueOnce(stream("event: replaced\ndata:\n\n"));
  asked.mockImplementation(never);
  void watch(seen, leaving.signal);
  await until(() => expect(seen.live).toEqual([true, false]));
  await vi.advanceTimersByTimeAsync(600_000);
  page.dispatchEvent(new Event("visibilitychange"));
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toHaveBeenCalledTimes(1);
  page.visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  await until(() => expect(asked).toHaveBeenCalledTimes(2));
});

it("ends when the page goes", async () => {
  asked.mockRejectedValue(new TypeError("Failed to fetch"));
  const watching = watch(seen, leaving.signal);
  await until(() => expect(asked).toHaveBeenCalledTimes(1));
  leaving.abort();
  await watching;
});
