// The tab API, with the token of Teams and errors as problems (RFC 9457).
import type { components } from "./api-types.js";
import { NoTokenError, ssoToken } from "./host.js";
import { currentLanguage, t, type Word } from "./words.js";

type Schemas = components["schemas"];
export type MyState = Schemas["MyState"];
export type Licences = Schemas["Licences"];
export type Holder = Schemas["Holder"];
export type SignInChallenge = Schemas["SignInChallenge"];
export type SignInRequest = Schemas["SignInRequest"];
export type ConnectionState = Schemas["ConnectionState"];
export type SessionEnd = Schemas["SessionEnd"];

/** What a person is told when something does not work: what happened, and what to do. */
export interface Trouble {
  code: string;
  title: string;
  detail: string;
  cure: string;
  requestId?: string;
}

export class ProblemError extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.code);
  }
}

/** Trouble that is found in the browser, with words of our own. */
export function ownTrouble(code: string, values: Record<string, string> = {}): Trouble {
  const word = (part: string) => t(`error.${code}.${part}` as Word, values);
  return { code, title: word("title"), detail: word("detail"), cure: word("cure") };
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ProblemError) return error.trouble;
  if (error instanceof NoTokenError) return ownTrouble("token", { reason: error.message });
  return ownTrouble("network");
}

export const api = {
  state: () => call<MyState>("GET", "state"),
  prepareSignIn: (body: Schemas["ChallengeRequest"]) => call<SignInChallenge>("POST", "sign-in/challenge", body),
  signIn: (body: SignInRequest) => call<MyState>("POST", "sign-in", body),
  signOut: () => call<MyState>("POST", "sign-out"),
  licences: () => call<Licences>("GET", "licences"),
  revoke: (body: Schemas["RevokeRequest"]) => call<Schemas["Revoked"]>("POST", "licences/revoke", body),
  setTrust: (trusted: boolean) => call<Licences>("PUT", "trust", { trusted }),
};

/** One request; an expired token is renewed once. */
export async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  for (const fresh of [false, true]) {
    const headers: Record<string, string> = {
      Authorization: `Bearer ${await ssoToken(fresh)}`,
      "Accept-Language": currentLanguage(),
    };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(`/api/v1/${path}`, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
    if (response.ok) return response;
    if (response.status !== 401 || fresh) throw new ProblemError(await problemOf(response));
  }
  throw new Error("unreachable");
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  return (await (await request(method, path, body)).json()) as T;
}

async function problemOf(response: Response): Promise<Trouble> {
  try {
    const problem = (await response.json()) as Partial<Schemas["Problem"]>;
    if (problem.code && problem.title) {
      return {
        code: problem.code,
        title: problem.title,
        detail: problem.detail ?? "",
        cure: problem.cure ?? "",
        ...(response.status >= 500 && problem.requestId ? { requestId: problem.requestId } : {}),
      };
    }
  } catch {
    // A proxy's own page: told as a service that is not there.
  }
  return ownTrouble("network");
}
