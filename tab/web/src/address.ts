// The page that is shown is an address: it survives a reload, the browser's Back leads to the page before, and links of
// Teams name it (`subPageId`).
const STORED = "pbx-page";

/** The page to begin with: where one was before a reload, unless a link of Teams leads elsewhere. */
export function firstPage<Page extends string>(pages: readonly Page[], linked: string | undefined): Page | null {
  const find = (name: string | undefined) => pages.find((page) => page === name) ?? null;
  const here = find(location.hash.slice(1));
  if (here !== null) return here;
  const [link, page] = remembered().split(" ");
  return (link === (linked ?? "") ? find(page) : null) ?? find(linked);
}

/** Notes the page that is shown first, so that Back finds it again. */
export function beginAddress(page: string): void {
  history.replaceState(null, "", `#${page}`);
}

/** Goes to a page: Back returns from it. */
export function showAddress(page: string, linked: string | undefined): void {
  remember(page, linked);
  if (location.hash !== `#${page}`) history.pushState(null, "", `#${page}`);
}

/** Tells of each move through the history, with the page's name. */
export function followHistory(linked: string | undefined, onMove: (page: string) => void, signal: AbortSignal): void {
  const moved = () => {
    const page = location.hash.slice(1);
    remember(page, linked);
    onMove(page);
  };
  window.addEventListener("popstate", moved, { signal });
}

/** Where storage is blocked, a reload begins at the first page. */
function remember(page: string, linked: string | undefined): void {
  try {
    sessionStorage.setItem(STORED, `${linked ?? ""} ${page}`);
  } catch {
    // Nothing is lost but that.
  }
}

function remembered(): string {
  try {
    return sessionStorage.getItem(STORED) ?? "";
  } catch {
    return "";
  }
}
