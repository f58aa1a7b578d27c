// Client of the tab API: authenticates with the Teams token and turns errors into problems (RFC 9457).
import type { components } from "./api-types.js";
import { NoTokenError, ssoToken } from "./host.js";
import { KeyFault } from "./pbxkey.js";
import { currentLanguage, t, type Word } from "./words.js";

type Schemas = components["schemas"];
export type PbxPerson = Schemas["PbxPerson"];
export type Licence = Schemas["Licence"];
export type MyState = Schemas["MyState"];
export type Licences = Schemas["Licences"];
export type Holder = Schemas["Holder"];
/** A holder as far as a selection needs to know; every `Holder` is one. */
export type SelectedHolder = Schemas["SelectedHolder"];
export type SignInChallenge = Schemas["SignInChallenge"];
export type SignInRequest = Schemas["SignInRequest"];
export type ConnectionState = Schemas["ConnectionState"];
export type SessionEnd = Schemas["SessionEnd"];
export type PbxOffer = Schemas["PbxOffer"];
export type NoticeSettings = Schemas["NoticeSettings"];
export type NoticeSettingsState = Schemas["NoticeSettingsState"];
export type HoldersChange = Schemas["HoldersChange"];
export type SeatsChange = Schemas["SeatsChange"];
export type WaitingPlace = Schemas["WaitingPlace"];
export type PoolState = Schemas["PoolState"];
export type PolicyState = Schemas["PolicyState"];
export type PeopleFound = Schemas["PeopleFound"];
export type Setup = Schemas["Setup"];
export type Usage = Schemas["Usage"];
export type LicenceAdvice = Schemas["LicenceAdvice"];
export type ConnectionReport = Schemas["ConnectionReportState"];
export type DoctorFindings = Schemas["DoctorFindings"];
export type RepairName = Schemas["ConnectionReportState"]["repairs"]["offered"][number];
export type UciRestarted = Schemas["UciRestartedState"];
export type NewKeyPrepared = Schemas["NewKeyPrepared"];
export type NewKeySealed = Schemas["NewKeySealed"];
export type Downloads = Schemas["DownloadsState"];
export type DownloadLink = Schemas["DownloadLinkState"];
export type AudioState = Schemas["AudioState"];
export type CallsPrepared = Schemas["CallsPrepared"];
/** A nonce of the connector, and the UCI login sealed to the connector. */
export type UciConsent = Schemas["PhoneOnRequest"];
export type Phone = Schemas["Phone"];
export type PhoneLine = Schemas["PhoneLine"];
export type CallRequest = Schemas["CallRequest"];
export type CallNotices = Schemas["CallNotices"];
export type CallNoticesState = Schemas["CallNoticesState"];
export type PhoneCall = Schemas["PhoneCall"];
export type Redirect = Schemas["Redirect"];
export type HistoryEntry = Schemas["HistoryEntry"];
export type HistoryFilter = "all" | "missed" | "in" | "out";
export type Found = Schemas["Found"];
export type Voicemail = Schemas["Voicemail"];
export type AudioUse = Schemas["AudioUse"];
export type AudioStep = Schemas["AudioStep"];
export type AudioConflicts = Schemas["AudioConflicts"];
export type BrowserDevice = Schemas["BrowserDevice"];
export type DeclaredUse = Schemas["DeclaredUse"];
export type PairingCode = Schemas["PairingCode"];
export type LicenceMix = Schemas["LicenceMix"];
export type TrustedTenant = Schemas["TrustedTenantState"];
export type AuditPage = Schemas["AuditPage"];
export type AuditEntry = Schemas["AuditEntryState"];

/** Which entries of the audit. Days such as "2026-11-25"; empty strings use the service's defaults. */
export interface AuditFilter {
  group: "" | "sessions" | "refusals" | "licences" | "trust" | "pbx" | "exports" | "consents";
  search: string;
  since: string;
  until: string;
}

export type SortColumn = "name" | "login" | "kind" | "since" | "last-seen" | "teams-name";

/** A change to the trust in the administrator's own organisation. Omitted members stay unchanged. */
export type TrustWish = Pick<Schemas["TrustRequest"], "trusted"> &
  Partial<{ [Name in "entry" | "primary"]: NonNullable<Schemas["TrustRequest"][Name]> }>;

/** Omitted members stay unchanged. */
export type RedirectWish = Pick<Schemas["RedirectRequest"], "redirectId" | "isOn"> &
  Partial<Schemas["RedirectRequest"]>;

export type FileFormat = "csv" | "xlsx";

export interface ServedFile {
  fileName: string;
  content: Blob;
  /** False if there are older rows that did not fit into the file. */
  complete: boolean;
}

/** Which holders: empty strings and 0 mean all. */
export interface HoldersFilter {
  search: string;
  kind: "" | Holder["kind"];
  /** Only people who were last seen at least that many days ago. */
  unseenDays: number;
}

/** Filter, order and page of the list of holders. */
export interface HoldersQuery extends HoldersFilter {
  sort: SortColumn;
  descending: boolean;
  offset: number;
  limit: number;
}

/** A problem as shown to the user: what happened, and what to do. */
export interface Trouble {
  code: string;
  title: string;
  /** Plain text, or a list of texts and elements. */
  detail: string | unknown[];
  cure: string;
  requestId?: string;
}

export class ProblemError extends Error {
  constructor(readonly trouble: Trouble) {
    super(trouble.code);
  }
}

/** Create a problem that the browser detected itself, with texts of this client. */
export function ownTrouble(code: string, values: Record<string, string> = {}): Trouble {
  const word = (part: string) => t(`error.${code}.${part}` as Word, values);
  return { code, title: word("title"), detail: word("detail"), cure: word("cure") };
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof ProblemError) return error.trouble;
  if (error instanceof KeyFault) return ownTrouble(error.code);
  if (error instanceof NoTokenError) return ownTrouble("token", { reason: error.message });
  return ownTrouble("network");
}

export const api = {
  state: () => call<MyState>("GET", `state${queryOf({ timeZone })}`),
  prepareSignIn: (body: Schemas["ChallengeRequest"]) => call<SignInChallenge>("POST", "sign-in/challenge", body),
  signIn: (body: SignInRequest) => call<MyState>("POST", "sign-in", body),
  signInWithoutKey: (body: Schemas["KeylessSignInRequest"]) => call<MyState>("POST", "sign-in/keyless", body),
  signOut: () => call<MyState>("POST", "sign-out"),
  joinWaitingList: () => call<MyState>("POST", "waiting"),
  leaveWaitingList: () => call<MyState>("DELETE", "waiting"),
  licences: (query: HoldersQuery) => call<Licences>("GET", `licences${queryOf({ ...query })}`),
  selectHolders: ({ search, kind, unseenDays }: HoldersFilter) =>
    call<Schemas["HolderSelection"]>("GET", `licences/selection${queryOf({ search, kind, unseenDays })}`),
  exportHolders: (format: FileFormat) => download(`licences/export${queryOf({ timeZone, format })}`),
  audit: (filter: AuditFilter, limit: number, before?: Schemas["AuditPlace"]) =>
    call<AuditPage>("GET", `audit${queryOf({ timeZone, limit, ...given(filter), ...before })}`),
  exportAudit: (format: FileFormat, filter: AuditFilter) =>
    download(`audit/export${queryOf({ timeZone, format, ...given(filter) })}`),
  usage: (span: string) => call<Usage>("GET", `licences/usage${queryOf({ span })}`),
  advice: (prices: { ualPrice?: number; flPrice?: number }) =>
    call<LicenceAdvice>("GET", `licences/advice${queryOf(prices)}`),
  people: (search: string) => call<PeopleFound>("GET", `licences/people${queryOf({ search })}`),
  setPolicy: (poolId: string, policy: PolicyState) => call<Licences>("PUT", "licences/policy", { poolId, policy }),
  revoke: (body: Schemas["RevokeRequest"]) => call<Schemas["Revoked"]>("POST", "licences/revoke", body),
  setTrust: (wish: TrustWish) => call<Licences>("PUT", "trust", { entry: null, primary: null, ...wish }),
  removeTrust: (tenantId: string) => call<Schemas["TrustedTenants"]>("POST", "trust/remove", { tenantId }),
  setup: () => call<Setup>("GET", "setup"),
  notices: () => call<NoticeSettingsState>("GET", "notices"),
  setNotices: (body: NoticeSettings) => call<NoticeSettingsState>("PUT", "notices", body),
  connection: () => call<ConnectionReport>("GET", "connection"),
  examineConnection: () => call<DoctorFindings>("POST", "connection/doctor"),
  restartUci: () => call<UciRestarted>("POST", "connection/uci-restart"),
  prepareNewKey: () => call<NewKeyPrepared>("POST", "connection/new-key/challenge"),
  makeNewKey: (body: Schemas["NewKeyRequest"]) => call<NewKeySealed>("POST", "connection/new-key", body),
  handOver: (identity: string) => call<MyState>("POST", "connection/hand-over", { identity }),
  audio: () => call<AudioState>("GET", "audio"),
  setDevices: (devices: BrowserDevice[]) => call<AudioState>("PUT", "audio/devices", { devices }),
  declareUses: (uses: DeclaredUse[]) => call<AudioState>("PUT", "audio/declared", { uses }),
  newPairingCode: () => call<PairingCode>("POST", "audio/pairing"),
  removeProbe: (probeId: string) => call<AudioState>("POST", "audio/probes/remove", { probeId }),
  prepareCalls: () => call<CallsPrepared>("POST", "audio/calls/challenge"),
  followCalls: (body: UciConsent) => call<AudioState>("PUT", "audio/calls", body),
  leaveCalls: () => call<AudioState>("DELETE", "audio/calls"),
  setRecords: (wanted: boolean) => call<AudioState>("PUT", "audio/records", { wanted }),
  setNamed: (named: boolean) => call<AudioState>("PUT", "audio/named", { named }),
  forgetAudio: () => call<AudioState>("DELETE", "audio"),
  phone: () => call<Phone>("GET", "phone"),
  preparePhone: () => call<CallsPrepared>("POST", "phone/challenge"),
  switchPhoneOn: (body: UciConsent) => call<Phone>("PUT", "phone", body),
  switchPhoneOff: () => call<Phone>("DELETE", "phone"),
  dial: (body: CallRequest) => call<Schemas["Dialled"]>("POST", "phone/calls", body),
  hangUp: (callId: string) => call<Schemas["Done"]>("DELETE", `phone/calls/${encodeURIComponent(callId)}`),
  callList: (query: { filter: HistoryFilter; before: string | undefined; offset: number }) =>
    call<Schemas["History"]>("GET", `phone/history${queryOf(query)}`),
  searchNumbers: (q: string) => call<Schemas["FoundNumbers"]>("GET", `phone/search${queryOf({ q })}`),
  setDoNotDisturb: (isOn: boolean) => call<Phone>("PUT", "phone/do-not-disturb", { isOn }),
  setRedirect: (body: RedirectWish) => call<Phone>("PUT", "phone/redirects", body),
  setPrimaryPhone: (phoneId: string) => call<Phone>("PUT", "phone/primary", { phoneId }),
  setMobile: (mobileId: string, isOn: boolean) => call<Phone>("PUT", "phone/mobiles", { mobileId, isOn }),
  callNotices: () => call<CallNoticesState>("GET", "phone/notices"),
  setCallNotices: (body: CallNotices) => call<CallNoticesState>("PUT", "phone/notices", body),
  voicemails: () => call<Schemas["Voicemails"]>("GET", "phone/voicemails"),
  playVoicemail: (messageId: string, phoneId: string) =>
    call<Schemas["Done"]>("POST", "phone/voicemails/play", { messageId, phoneId }),
  downloads: () => call<Downloads>("GET", "downloads"),
  helperDownloads: () => call<Downloads>("GET", "downloads/helper"),
  downloadLink: (file: string) => call<DownloadLink>("POST", "downloads/link", { file }),
  conflicts: () => call<AudioConflicts>("GET", "audio/conflicts"),
};

/** Leave out empty members, for which the service has defaults. */
function given(filter: AuditFilter): Record<string, string> {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== ""));
}

export const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function queryOf(values: Record<string, string | number | boolean | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

/** Save an exported file. */
export function save(file: ServedFile): void {
  const url = URL.createObjectURL(file.content);
  const link = document.createElement("a");
  link.href = url;
  link.download = file.fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Send one request; an expired token is renewed once. */
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

async function download(path: string): Promise<ServedFile> {
  const response = await request("GET", path);
  const named = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  return {
    fileName: named?.[1] ?? "export",
    content: await response.blob(),
    complete: response.headers.get("X-Complete") !== "false",
  };
}

/** A request that the service refused or could not answer. */
export interface Failure {
  requestId: string;
  code: string;
  at: string;
}

let failure: Failure | null = null;

/** Return the last request that failed while this page was open. */
export function lastFailure(): Failure | null {
  return failure;
}

async function problemOf(response: Response): Promise<Trouble> {
  try {
    const problem = (await response.json()) as Partial<Schemas["Problem"]>;
    const { requestId, code = "" } = problem;
    if (requestId) failure = { requestId, code, at: new Date().toISOString() };
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
    // A proxy answered with its own page: treat the service as unavailable.
  }
  return ownTrouble("network");
}
