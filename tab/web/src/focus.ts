// Keeps the focus on the page: when an update removes the focused element, the element after it gets the focus.
import type { ReactiveController, ReactiveControllerHost } from "lit";

type Host = ReactiveControllerHost & { readonly renderRoot: ParentNode };

const FOCUSABLE = 'a[href], button, input, select, textarea, summary, fluent-button, fluent-switch, [tabindex="0"]';
const HEADINGS = "h1, h2";

const kept = new WeakSet<Host>();

/** Keep the focus within a page. Repeated calls for the same page have no effect. */
export function keepFocus(host: Host): void {
  if (kept.has(host)) return;
  kept.add(host);
  host.addController(new FocusController(host));
}

/**
 * Return the element and its fallbacks for the focus, in this order: the elements that follow it in its section,
 * then the headings above it, nearest first.
 */
export function withFollowing(root: ParentNode, element: HTMLElement): readonly HTMLElement[] {
  const all = [...root.querySelectorAll<HTMLElement>(`${FOCUSABLE}, ${HEADINGS}`)].filter((one) => one !== element);
  const follows = (one: HTMLElement) =>
    (element.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0 && !element.contains(one);
  const section = element.closest("section") ?? root;
  const controls = all.filter((one) => follows(one) && section.contains(one) && !one.matches(HEADINGS));
  const headings = all.filter((one) => !follows(one) && one.matches(HEADINGS)).reverse();
  return [element, ...controls, ...headings];
}

/** Focus the first element that accepts the focus. */
export function focusFirst(elements: readonly HTMLElement[]): void {
  const first = elements.find(canHaveFocus);
  if (first?.matches(HEADINGS)) first.tabIndex = -1;
  first?.focus();
}

class FocusController implements ReactiveController {
  private before: readonly HTMLElement[] = [];

  constructor(private readonly host: Host) {}

  hostUpdate(): void {
    const root = this.host.renderRoot as ParentNode | undefined;
    const focused = root ? focusedIn(root) : null;
    this.before = root && focused ? withFollowing(root, focused) : [];
  }

  hostUpdated(): void {
    const [focused] = this.before;
    if (focused === undefined || canHaveFocus(focused)) return;
    const root = this.host.renderRoot;
    const now = focusedIn(root);
    if (now === null || now === focused) focusFirst([...this.before, ...root.querySelectorAll<HTMLElement>(HEADINGS)]);
  }
}

/** Return the focused element of the page, including elements in its dialogs. */
function focusedIn(root: ParentNode): HTMLElement | null {
  const tree = (root as ParentNode & Node).getRootNode() as ShadowRoot;
  const focused = tree.activeElement;
  return focused !== null && root.contains(focused) ? (focused as HTMLElement) : null;
}

function canHaveFocus(element: HTMLElement): boolean {
  return element.isConnected && element.checkVisibility() && !element.matches(":disabled");
}
