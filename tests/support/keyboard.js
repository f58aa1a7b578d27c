// What a keyboard reaches in the tab, through all shadow roots. Put into the page by tests.support.keyboard.
(() => {
  const CONTROLS =
    'a[href], button, input:not([type="file"]), select, textarea, summary, fluent-button, fluent-switch, [tabindex="0"]';

  function* deep(root) {
    for (const element of root.querySelectorAll("*")) {
      yield element;
      if (element.shadowRoot !== null && !element.localName.startsWith("fluent-")) yield* deep(element.shadowRoot);
    }
  }

  const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.matches(":disabled");

  const OPEN = "dialog:modal, [popover]:popover-open";

  /** Those that can be reached now: in the open dialog or menu alone where there is one. */
  function controls() {
    const all = [...deep(document)].filter((element) => element.matches(CONTROLS) && isShown(element));
    const dialog = [...deep(document)].find((element) => element.matches(OPEN));
    return dialog === undefined ? all : all.filter((element) => dialog.contains(element));
  }

  /** Says which one it is, also when the page is opened again. */
  function nameOf(element) {
    const host = element.getRootNode().host?.localName ?? "";
    const words = element.getAttribute("aria-label") ?? element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
    const label = element.labels?.[0]?.textContent.trim().slice(0, 60) ?? "";
    return [host, element.localName, element.type ?? "", element.id || element.name || "", label || words].join("|");
  }

  const isPrompt = (element) => element.getAttribute("aria-disabled") === "true" || element.matches("pbx-skeleton");

  window.keyboard = {
    names: () => {
      const seen = new Map();
      return controls().map((element) => {
        const name = nameOf(element);
        const count = seen.get(name) ?? 0;
        seen.set(name, count + 1);
        return `${name}#${count}`;
      });
    },
    /** The kind of the control, after it was given the focus; null: there is none of that name. */
    focus: (wanted) => {
      const at = window.keyboard.names().indexOf(wanted);
      if (at < 0) return null;
      const element = controls()[at];
      element.focus();
      return `${element.localName} ${element.type ?? ""}`.trim();
    },
    focused: () => {
      let element = document.activeElement;
      while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
      return element === null || element === document.body ? null : nameOf(element);
    },
    hasDialog: () => [...deep(document)].some((element) => element.matches(OPEN)),
    isBusy: () => [...deep(document)].some((element) => element.matches("pbx-skeleton") && isShown(element)),
    /** In pixels; what belongs to a label is as large as both together. */
    small: (least) => {
      const sizeOf = (element) => {
        const boxes = [element, ...(element.labels ?? [])].map((one) => one.getBoundingClientRect());
        const outer = element.closest("label")?.getBoundingClientRect();
        const all = outer ? [...boxes, outer] : boxes;
        return { width: Math.max(...all.map((box) => box.width)), height: Math.max(...all.map((box) => box.height)) };
      };
      return controls()
        .filter((element) => getComputedStyle(element).display !== "inline")
        .filter((element) => Object.values(sizeOf(element)).some((length) => length < least))
        .map((element) => `${nameOf(element)} ${JSON.stringify(sizeOf(element))}`);
    },
  };
})();
