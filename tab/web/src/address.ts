// The visible page is part of the address, with what it shows: `#licences?kind=FL`. It survives a reload, the browser's
// Back button returns to the previous page, and Teams deep links can name it (`subPageId`).
import type { ReactiveController, ReactiveControllerHost } from "lit";

const STORED = "pbx-page";
/** Longer values are no filter that anybody has typed. */
const LONGEST_VALUE = 200;

export interface Address<Page extends string = string> {
  page: Page;
  /** With its leading question mark; empty if there are no parameters. */
  query: string;
}

function parse(address: string): Address {
  const at = address.indexOf("?");
  return at < 0 ? { page: address, query: "" } : { page: address.slice(0, at), query: address.slice(at) };
}

/**
 * Return the address to start with: the one that was visible before a reload, unless a Teams deep link names another
 * one. Null if none of the pages is named.
 */
export function firstAddress<Page extends string>(
  pages: readonly Page[],
  linked: string | undefined,
): Address<Page> | null {
  const find = (address: string | undefined): Address<Page> | null => {
    const { page: name, query } = parse(address ?? "");
    const page = pages.find((page) => page === name);
    return page === undefined ? null : { page, query };
  };
  const here = find(location.hash.slice(1));
  if (here !== null) return here;
  const [link, before] = remembered();
  return (link === (linked ?? "") ? find(before) : null) ?? find(linked);
}

/** Record the first visible page, so that Back can return to it, and a reload knows the link it was opened with. */
export function beginAddress({ page, query }: Address, linked: string | undefined): void {
  remember(`${page}${query}`, linked);
  history.replaceState(null, "", `#${page}${query}`);
}

/** Navigate to a page; Back returns to the previous one. */
export function showAddress(page: string, linked: string | undefined): void {
  remember(page, linked);
  if (location.hash !== `#${page}`) history.pushState(null, "", `#${page}`);
}

/** Call `onMove` with the page's name when a link was followed, and on each move through the history. */
export function followHistory(linked: string | undefined, onMove: (page: string) => void, signal: AbortSignal): void {
  const moved = () => {
    const address = location.hash.slice(1);
    remember(address, linked);
    onMove(parse(address).page);
  };
  window.addEventListener("popstate", moved, { signal });
}

/**
 * The parameters of a page, such as filters, kept in its address. A change replaces the current entry of the history,
 * so that Back still leads to the page before. The host is updated on each move through the history.
 */
export class AddressParameters implements ReactiveController {
  private readonly moved = () => this.host.requestUpdate();

  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly page: string,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    window.addEventListener("popstate", this.moved);
  }

  hostDisconnected(): void {
    window.removeEventListener("popstate", this.moved);
  }

  /** Whether the page is visible now. */
  get isVisible(): boolean {
    return parse(location.hash.slice(1)).page === this.page;
  }

  /** Return the value of a parameter; empty if it is missing, or if another page is visible. */
  get(name: string): string {
    const value = this.read().get(name) ?? "";
    return value.length <= LONGEST_VALUE ? value : "";
  }

  /** Set parameters; an empty value removes one. Parameters that are not named stay. */
  set(values: Readonly<Record<string, string>>): void {
    const parameters = this.read();
    for (const [name, value] of Object.entries(values)) {
      if (value === "") parameters.delete(name);
      else parameters.set(name, value.slice(0, LONGEST_VALUE));
    }
    const query = parameters.toString();
    const address = query === "" ? this.page : `${this.page}?${query}`;
    history.replaceState(null, "", `#${address}`);
    remember(address, remembered()[0]);
    this.host.requestUpdate();
  }

  private read(): URLSearchParams {
    const { page, query } = parse(location.hash.slice(1));
    return new URLSearchParams(page === this.page ? query : "");
  }
}

/** Remember the address for a reload. If storage is blocked, a reload starts at the first page. */
function remember(address: string, linked: string | undefined): void {
  try {
    sessionStorage.setItem(STORED, `${encodeURIComponent(linked ?? "")} ${address}`);
  } catch {
    // Storage is blocked, which only affects reloads.
  }
}

/** Return the deep link that the page was opened with, and the last address. */
function remembered(): [string, string] {
  try {
    const [linked = "", address = ""] = (sessionStorage.getItem(STORED) ?? "").split(" ");
    return [decodeURIComponent(linked), address];
  } catch {
    return ["", ""];
  }
}
