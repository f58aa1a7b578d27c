// Live updates: server-sent events over fetch, because an EventSource cannot send a token in a header.
import { createParser } from "eventsource-parser";
import {
  queryOf,
  request,
  timeZone,
  type AudioState,
  type ConnectionState,
  type HoldersChange,
  type MyState,
  type Phone,
  type SeatsChange,
  type WaitingPlace,
} from "./api.js";

const EVENTS = `events${queryOf({ changes: true, phone: true, timeZone })}`;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

/** The content of each event, by its name; the first event of a stream is the complete state. */
export interface Changes {
  state: MyState;
  audio: AudioState;
  phone: Phone;
  connection: ConnectionState;
  seats: SeatsChange;
  waiting: WaitingPlace;
  /** For administrators: the numbers. The rows of holders are requested page by page. */
  holders: HoldersChange;
  /** For administrators: another installation has tried the name of the PBX. */
  claims: Record<string, never>;
}

export type Change = { [Name in keyof Changes]: { name: Name; content: Changes[Name] } }[keyof Changes];

const NAMES: readonly string[] = [
  "state",
  "audio",
  "phone",
  "connection",
  "seats",
  "waiting",
  "holders",
  "claims",
] satisfies (keyof Changes)[];

export interface Watcher {
  onChange(change: Change): void;
  /** Called when changes may have been missed, so that pages reload what they show. */
  onMissed(): void;
  /** Called when live updates start or stop arriving. */
  onLive(live: boolean): void;
}

/** Receive updates until aborted; reconnects automatically, with increasing pauses. */
export async function watch(watcher: Watcher, signal: AbortSignal): Promise<void> {
  let pause = FIRST_RETRY_MS;
  while (!signal.aborted) {
    try {
      const response = await request("GET", EVENTS, undefined, signal);
      watcher.onLive(true);
      watcher.onMissed();
      pause = FIRST_RETRY_MS;
      if ((await read(response, watcher)) === "replaced") {
        watcher.onLive(false);
        await lookedAt(signal);
        continue;
      }
      // The service ended the stream because the token expired or the service stops: reconnect soon, without a
      // message.
      await wait(pause * Math.random(), signal);
      continue;
    } catch {
      if (signal.aborted) return;
    }
    watcher.onLive(false);
    await wait(pause * (0.5 + Math.random() / 2), signal);
    pause = Math.min(pause * 2, LONGEST_RETRY_MS);
  }
}

async function read(response: Response, watcher: Watcher): Promise<"ended" | "replaced"> {
  let end: "ended" | "replaced" = "ended";
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (event === "replaced") end = "replaced";
      else if (event === "missed") watcher.onMissed();
      else if (event !== undefined && NAMES.includes(event)) {
        watcher.onChange({ name: event, content: JSON.parse(data) as unknown } as Change);
      }
    },
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) parser.feed(part.value);
  return end;
}

/** Wait until the user returns to this page. The user has many pages open, and only the newest ones are updated. */
function lookedAt(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = new AbortController();
    const look = () => {
      if (document.visibilityState !== "visible") return;
      done.abort();
      resolve();
    };
    for (const event of ["focus", "pointerdown", "keydown"]) addEventListener(event, look, { signal: done.signal });
    document.addEventListener("visibilitychange", look, { signal: done.signal });
    signal.addEventListener("abort", () => (done.abort(), resolve()), { once: true });
  });
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
