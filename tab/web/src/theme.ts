// The three Teams themes, from Fluent's own tokens.
import { teamsDarkTheme, teamsHighContrastTheme, teamsLightTheme } from "@fluentui/tokens";
import { setTheme } from "@fluentui/web-components/theme/index.js";

const themes = { default: teamsLightTheme, dark: teamsDarkTheme, contrast: teamsHighContrastTheme };

export function applyTheme(name: string): void {
  const known = name in themes ? (name as keyof typeof themes) : "default";
  document.documentElement.dataset["theme"] = known;
  setTheme(themes[known]);
}
