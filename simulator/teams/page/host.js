// Acts as Teams for the tab: answers the window messages of teams-js, opens dialogs, and shows the chat with the
// bot. For the messages see docs/facts/teams.md, "The host page of a tab".

import { changeTelephone, startTelephone } from "/host/telephone.js";

const $ = (id) => document.getElementById(id);
const RUNTIME = JSON.stringify({
  apiVersion: 4,
  hostVersionsInfo: {},
  isLegacyTeams: false,
  supports: {
    pages: { tabs: {}, config: {} },
    dialog: { card: {}, url: { bot: {}, parentCommunication: {} }, update: {} },
  },
});
const settings = new URLSearchParams(location.search);
const { tenantId, people } = await (await fetch("/host/people")).json();
const frames = new Map(); // window -> {context, onDone}
let chatAbort = null;
let refreshed = new Set(); // ids of the cards that were refreshed since the chat was opened

for (const person of people) $("person").add(new Option(`${person.name} (${person.role})`, person.objectId));
$("person").value = settings.get("person") ?? people[0].objectId;
$("theme").value = settings.get("theme") ?? "default";
$("locale").value = settings.get("locale") ?? (navigator.language.startsWith("de") ? "de-DE" : "en-US");

function person() { return people.find((p) => p.objectId === $("person").value); }

function context(frameContext, subPageId) {
  return {
    locale: $("locale").value, theme: $("theme").value, tid: tenantId, userObjectId: person().objectId,
    userPrincipalName: person().name, loginHint: person().name, hostName: "Teams", hostClientType: "web",
    frameContext, sessionId: crypto.randomUUID(), appSessionId: crypto.randomUUID(),
    page: { id: "home", frameContext, subPageId }, entityId: "home", subEntityId: subPageId,
  };
}

const answers = {
  initialize: (frame) => [frame.frameContext, "web", RUNTIME, "2.0.0"],
  getContext: (frame) => [context(frame.frameContext, frame.subPageId)],
  "authentication.getAuthToken": async () => {
    const seconds = settings.get("tokenSeconds") ?? "3600";
    const answer = await fetch(`/host/token?person=${person().objectId}&seconds=${seconds}`);
    return answer.ok ? [true, (await answer.json()).token] : [false, "resourceRequiresConsent"];
  },
  "tasks.startTask": (_frame, [info], reply) => {
    openDialog(info, (result) => reply([null, result]), () => reply(["userDismissed", null]));
    return null;
  },
  "tasks.completeTask": (frame, [result]) => { frame.onDone?.(result); return null; },
  "tasks.updateTask": () => null,
  registerHandler: () => null,
  "appInitialization.appLoaded": () => null,
  "appInitialization.success": () => null,
  "appInitialization.failure": (_frame, args) => { console.warn("the tab reports a failure", args); return null; },
  executeDeepLink: () => [true],
};

addEventListener("message", async (event) => {
  const frame = frames.get(event.source);
  const { id, uuid, uuidAsString, func, args = [] } = event.data ?? {};
  if (event.origin !== location.origin || frame === undefined || func === undefined) return;
  const reply = (values) => event.source.postMessage({ id, uuid, uuidAsString, args: values }, location.origin);
  const answer = answers[func];
  if (answer === undefined) { console.info("not answered", func, args); return; }
  const values = await answer(frame, args, reply);
  if (values) reply(values);
});

function tell(func, ...args) {
  for (const target of frames.keys()) target.postMessage({ func, args }, location.origin);
}

function addFrame(parent, url, frame) {
  const iframe = document.createElement("iframe");
  iframe.title = frame.frameContext === "task" ? "Dialog" : "PBX for Teams";
  iframe.allow = "microphone; camera; clipboard-read; clipboard-write";
  parent.replaceChildren(iframe);
  frames.set(iframe.contentWindow, frame);
  iframe.src = url;
  return iframe;
}

function openTab(subPageId) {
  frames.clear();
  addFrame($("tab"), "/tab/", { frameContext: "content", subPageId });
}

function openDialog(info, done, dismissed) {
  const dialog = $("dialog");
  const size = (value, fallback) => `${Number(value) || fallback}px`;
  $("dialog-title").textContent = info.title ?? "";
  $("dialog-frame").style.width = `min(${size(info.width, 520)}, 94vw)`;
  $("dialog-frame").style.height = `min(${size(info.height, 640)}, 84vh)`;
  const url = new URL(info.url, location.origin);
  const finish = (then) => {
    frames.delete(iframe.contentWindow);
    $("dialog-frame").replaceChildren();
    dialog.close();
    then();
  };
  const frame = { frameContext: "task", onDone: (result) => finish(() => done(result)) };
  const iframe = addFrame($("dialog-frame"), url.pathname + url.search, frame);
  $("dialog-close").onclick = () => finish(dismissed);
  dialog.oncancel = (event) => { event.preventDefault(); finish(dismissed); };
  dialog.showModal();
}

// The chat.

async function say(activity) {
  const answer = await fetch(`/host/chats/${person().objectId}`, {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ locale: $("locale").value, ...activity }),
  });
  return answer.json();
}

// The page that a deep link names: /l/entity/APP/TAB?context={"subEntityId":PAGE}.
function pageOf(url) {
  try {
    return JSON.parse(new URL(url).searchParams.get("context")).subEntityId;
  } catch {
    return undefined;
  }
}

// Like Teams, refresh a visible card that lists this user for refreshes: once while the chat is open.
async function refresh(activity) {
  const wanted = activity.attachments?.[0]?.content?.refresh;
  if (!wanted?.userIds?.includes(`29:${person().objectId}`) || refreshed.has(activity.id)) return;
  refreshed.add(activity.id);
  const value = { action: wanted.action, trigger: "automatic" };
  await say({ type: "invoke", name: "adaptiveCard/action", value, replyToId: activity.id });
}

async function act(action, replyToId) {
  if (action instanceof AdaptiveCards.OpenUrlAction) {
    if (action.url.includes("/l/entity/")) openTab(pageOf(action.url));
    else open(action.url, "_blank", "noopener");
  } else if (action instanceof AdaptiveCards.ExecuteAction) {
    const value = { action: { type: "Action.Execute", verb: action.verb, data: action.data }, trigger: "manual" };
    await say({ type: "invoke", name: "adaptiveCard/action", value, replyToId });
  } else if (action.data?.msteams?.type === "task/fetch") {
    const { body } = await say({ type: "invoke", name: "task/fetch", value: { data: action.data, context: { theme: $("theme").value } } });
    const submit = (data) => say({ type: "invoke", name: "task/submit", value: { data, context: { theme: $("theme").value } } });
    if (body?.task?.value) openDialog(body.task.value, submit, () => {});
  } else {
    await say({ type: "message", text: "", value: action.data });
  }
}

function draw(activity) {
  const element = document.createElement("div");
  element.className = activity.from?.aadObjectId ? "message mine" : "message";
  if (activity.text) element.append(activity.text);
  for (const attachment of activity.attachments ?? []) {
    const card = new AdaptiveCards.AdaptiveCard();
    const dark = $("theme").value !== "default";
    card.hostConfig = new AdaptiveCards.HostConfig({
      fontFamily: "Segoe UI, system-ui, sans-serif",
      containerStyles: {
        default: { backgroundColor: "#00000000", foregroundColors: { default: { default: dark ? "#fff" : "#242424", subtle: dark ? "#ddd" : "#444" } } },
        warning: { backgroundColor: dark ? "#4a3000" : "#fff4ce", foregroundColors: { default: { default: dark ? "#fff" : "#242424" } } },
      },
      actions: { actionsOrientation: "horizontal", maxActions: 6 },
    });
    card.onExecuteAction = (action) => act(action, activity.id);
    card.parse(attachment.content);
    element.append(card.render());
  }
  return element;
}

async function follow() {
  chatAbort?.abort();
  refreshed = new Set();
  const { signal } = (chatAbort = new AbortController());
  let after = -1;
  let first = true;
  try {
    while (!signal.aborted) {
      const answer = await fetch(`/host/chats/${person().objectId}?after=${after}`, { signal });
      const { revision, activities } = await answer.json();
      if (revision !== after) {
        after = revision;
        $("messages").replaceChildren(...activities.map(draw));
        $("messages").scrollTop = $("messages").scrollHeight;
      }
      // Refresh only cards that existed before the chat was opened; later ones are new anyway.
      if (first) for (const activity of activities) void refresh(activity);
      if (first && activities.length === 0) await say({ type: "installationUpdate", action: "add" });
      first = false;
    }
  } catch (error) {
    if (error.name !== "AbortError") { console.warn(error); setTimeout(follow, 2000); }
  }
}

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (text) say({ type: "message", text });
  $("text").value = "";
});
$("toggle-chat").addEventListener("click", () => {
  const show = $("chat").hidden;
  $("chat").hidden = !show;
  $("toggle-chat").setAttribute("aria-expanded", String(show));
  if (show) follow(); else chatAbort?.abort();
});
$("person").addEventListener("change", () => { openTab(); changeTelephone(); if (!$("chat").hidden) follow(); });
$("locale").addEventListener("change", () => openTab());
$("theme").addEventListener("change", () => {
  document.documentElement.dataset.theme = $("theme").value;
  tell("themeChange", $("theme").value);
});
document.documentElement.dataset.theme = $("theme").value;
await startTelephone(person);
openTab(settings.get("page") ?? undefined);
if (settings.has("telephone")) $("toggle-telephone").click();
if (settings.has("chat")) $("toggle-chat").click();
