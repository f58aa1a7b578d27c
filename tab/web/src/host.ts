// The Microsoft Teams host: the user, language and theme, and the token that proves the identity.
import { app, authentication, dialog } from "@microsoft/teams-js";
import { applyTheme } from "./theme.js";
import { setLocale } from "./words.js";

export interface Surroundings {
  tenantId: string;
  objectId: string;
  /** The page that a deep link names. */
  page: string | undefined;
}

let here: Surroundings | null = null;

/** The surroundings as `enterTeams` found them. */
export function surroundings(): Surroundings {
  return here ?? { tenantId: "", objectId: "", page: undefined };
}

/** Connect to the host. Rejects if nothing answers, because the page was opened outside Teams. */
export async function enterTeams(seconds = 10): Promise<Surroundings> {
  await withTimeout(app.initialize(), seconds);
  const context = await withTimeout(app.getContext(), seconds);
  setLocale(context.app.locale);
  applyTheme(context.app.theme);
  app.registerOnThemeChangeHandler(applyTheme);
  void app.notifySuccess();
  here = {
    tenantId: context.user?.tenant?.id ?? "",
    objectId: context.user?.id ?? "",
    page: context.page.subPageId,
  };
  return here;
}

export class NoTokenError extends Error {}

let cached: { token: string; expires: number } | null = null;

/**
 * Return the Teams SSO token. It is kept in memory only, and fetched again shortly before it expires or if `fresh`
 * is set.
 */
export async function ssoToken(fresh = false): Promise<string> {
  if (!fresh && cached !== null && cached.expires - 60_000 > Date.now()) return cached.token;
  try {
    const token = await authentication.getAuthToken();
    cached = { token, expires: expiryOf(token) };
    return token;
  } catch (error) {
    throw new NoTokenError(error instanceof Error ? error.message : String(error));
  }
}

/** Close the dialog that contains this page. */
export function closeDialog(result: object): void {
  dialog.url.submit(result);
}

function expiryOf(token: string): number {
  try {
    const claims = JSON.parse(atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/"))) as {
      exp?: number;
    };
    return (claims.exp ?? 0) * 1000;
  } catch {
    return 0;
  }
}

async function withTimeout<T>(promise: Promise<T>, seconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Teams does not answer")), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
