// Before the app itself: when its files do not arrive (offline, or in the middle of an update of the service), the page is
// loaded again, and then says what happened. The app's files have no say in this: they are what is missing.
const PAUSES_MS = [1000, 4000];
const STORED = "pbx-start-tries";
const WORDS = {
  de: ["Die App konnte nicht geladen werden.", "Prüfen Sie Ihre Verbindung und versuchen Sie es erneut.", "Erneut versuchen"],
  en: ["The app could not be loaded.", "Check your connection and try again.", "Try again"],
};

/** How often this page has tried by itself; where storage is blocked it does not try, so that it cannot do so for ever. */
function tries(set) {
  try {
    if (set === 0) sessionStorage.removeItem(STORED);
    else if (set !== undefined) sessionStorage.setItem(STORED, String(set));
    return Number(sessionStorage.getItem(STORED));
  } catch {
    return PAUSES_MS.length;
  }
}

function say([title, cure, again]) {
  const box = document.createElement("main");
  box.className = "first";
  const heading = document.createElement("h1");
  heading.textContent = title;
  const text = document.createElement("p");
  text.textContent = cure;
  const button = document.createElement("button");
  button.textContent = again;
  button.onclick = () => location.reload();
  const message = document.createElement("div");
  message.role = "alert";
  message.append(heading, text);
  box.append(message, button);
  document.body.replaceChildren(box);
}

addEventListener(
  "error",
  ({ target }) => {
    if (!(target instanceof HTMLScriptElement) || target.type !== "module") return;
    const before = tries();
    if (before < PAUSES_MS.length) {
      setTimeout(() => {
        tries(before + 1);
        location.reload();
      }, PAUSES_MS[before]);
      return;
    }
    tries(0);
    const language = navigator.language.startsWith("de") ? "de" : "en";
    document.documentElement.lang = language;
    say(WORDS[language]);
  },
  true,
);
addEventListener("pbx-started", () => tries(0));
