/**
 * Copy a text to the clipboard; return false if the host does not permit it. The old way works in frames that Teams
 * gives no permission for the clipboard.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelection(text);
  }
}

/** Copy by a selected field, and give the focus back. Behind an open dialog nothing can be selected, so the field is in it. */
function copySelection(text: string): boolean {
  const focused = focusedElement();
  const field = document.createElement("textarea");
  field.value = text;
  field.style.position = "fixed";
  (focused?.closest("dialog") ?? document.body).append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  focused?.focus();
  return isCopied;
}

/** Return the focused element, which the document itself reports only as the component that contains it. */
function focusedElement(): HTMLElement | null {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element instanceof HTMLElement ? element : null;
}
