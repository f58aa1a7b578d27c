// The telephone on the user's desk, which makes and answers calls at the simulated PBX.

const $ = (id) => document.getElementById(id);
const LOOK_MS = 700;
const STATES = {
  REQUESTED: "waits for the phone to be picked up", INCOMING: "comes in", RINGING: "rings",
  PROCEEDING: "is dialled", OUTGOING: "is dialled", RINGBACK: "rings there", CONNECTED: "talks",
  PARKED: "is held", VOICEMAIL_LINKED: "speaks into the voicemail",
};
const ACTS = {
  "pick-up": "Pick up", lift: "Pick up the phone", "ring-there": "It rings there", "answer-there": "They answer",
  hold: "Hold", "take-back": "Take back", refuse: "Refuse here", "hang-up": "Hang up",
  "time-out": "Nobody answers", colleague: "A colleague answers", "give-up": "The caller gives up",
};

let person;
let timer;
let shown = "";

/** Show the panel's button if this host has a PBX. `current` returns the user whose telephone it is. */
export async function startTelephone(current) {
  person = current;
  const callers = await (await fetch("/host/callers")).json();
  if (callers === null) return;
  for (const { name, number } of callers) $("callers").append(new Option(`${name} (${number})`));
  $("caller").value = $("callers").options[0].value;
  $("toggle-telephone").hidden = false;
  $("toggle-telephone").addEventListener("click", () => {
    const show = $("telephone").hidden;
    $("telephone").hidden = !show;
    $("toggle-telephone").setAttribute("aria-expanded", String(show));
    clearTimeout(timer);
    if (show) look();
  });
  $("ring").addEventListener("submit", (event) => {
    event.preventDefault();
    const act = event.submitter?.value ?? "ring";
    const body = caller();
    if (act === "voicemail") send("voicemail", body);
    else send("ring", { ...body, group: act === "group" });
  });
}

/** Called when another person is chosen. */
export function changeTelephone() {
  shown = "";
  if (!$("telephone").hidden) { clearTimeout(timer); look(); }
}

// "Name (number)", a number, or empty for a withheld number.
function caller() {
  const [, name, number] = /^(.*)\(([^()]*)\)$/.exec($("caller").value) ?? [];
  return number === undefined ? { number: $("caller").value.trim() } : { number, name: name.trim() };
}

async function send(path, body) {
  const answer = await fetch(`/host/telephones/${person().objectId}/${path}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}),
  });
  tell(answer.ok ? "" : await answer.text());
  if (answer.ok && path === "voicemail") tell("The message is in the box.");
  if (answer.ok && path === "ring" && (await answer.json()).calls.length === 0) tell("No phone rings: busy, redirected, or not to be disturbed.");
  clearTimeout(timer);
  await look();
}

function tell(words) { $("telephone-word").textContent = words; }

async function look() {
  const { objectId, name, login } = person();
  $("telephone-of").textContent = `Telephone of ${name} (${login})`;
  try {
    const { calls } = await (await fetch(`/host/telephones/${objectId}`)).json();
    draw(calls);
  } catch (error) { console.warn(error); }
  timer = setTimeout(look, LOOK_MS);
}

function draw(calls) {
  const now = JSON.stringify(calls);
  if (now === shown) return; // keep the buttons, so that one under the pointer does not move
  shown = now;
  $("calls").replaceChildren(...calls.map((call) => {
    const item = document.createElement("li");
    const [number, name] = call.isOutgoing ? [call.calledNumber, call.calledName] : [call.callerNumber, call.callerName];
    const group = call.group ? ", for the group" : "";
    const who = name || number || "withheld";
    item.append(call.waits ? `This phone rings, to call ${who}` : `${who} ${STATES[call.state] ?? call.state}${group}`);
    for (const act of call.acts) {
      const button = document.createElement("button");
      button.textContent = ACTS[act] ?? act;
      button.onclick = () => send(`calls/${call.id}/${act}`);
      item.append(button);
    }
    return item;
  }));
  $("no-calls").hidden = calls.length > 0;
}
