/**
 * Copy a text to the clipboard; return false if the host does not permit it. The old way works in frames that Teams
 * gives no permission for the clipboard.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    const modal = document.activeElement;
    field.value = text;
    field.style.position = "fixed";
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    if (modal instanceof HTMLElement) modal.focus();
    return isCopied;
  }
}
