// The visible page is part of the address: it survives a reload, the browser's Back button returns to the previous
// page, and Teams deep links can name it (`subPageId`).
const STORED = "pbx-page";

/**
 * Return the page to start with: the one that was visible before a reload, unless a Teams deep link names another
 * one.
 */
export function firstPage<Page extends string>(pages: readonly Page[], linked: string | undefined): Page | null {
  const find = (name: string | undefined) => pages.find((page) => page === name) ?? null;
  const here = find(location.hash.slice(1));
  if (here !== null) return here;
  const [link, page] = remembered().split(" ");
  return (link === (linked ?? "") ? find(page) : null) ?? find(linked);
}

/** Record the first visible page, so that Back can return to it. */
export function beginAddress(page: string): void {
  history.replaceState(null, "", `#${page}`);
}

/** Navigate to a page; Back returns to the previous one. */
export function showAddress(page: string, linked: string | undefined): void {
  remember(page, linked);
  if (location.hash !== `#${page}`) history.pushState(null, "", `#${page}`);
}

/** Call `onMove` with the page's name on each move through the history. */
export function followHistory(linked: string | undefined, onMove: (page: string) => void, signal: AbortSignal): void {
  const moved = () => {
    const page = location.hash.slice(1);
    remember(page, linked);
    onMove(page);
  };
  window.addEventListener("popstate", moved, { signal });
}

/** Remember the page for a reload. If storage is blocked, a reload starts at the first page. */
function remember(page: string, linked: string | undefined): void {
  try {
    sessionStorage.setItem(STORED, `${linked ?? ""} ${page}`);
  } catch {
    // Storage is blocked, which only affects reloads.
  }
}

function remembered(): string {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}
