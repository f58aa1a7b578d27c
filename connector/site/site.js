// Shows the progress of a running check. Without this script the page reloads itself.
"use strict";
const box = document.querySelector("[data-progress]");
async function look() {
  let answer;
  try {
    answer = await fetch(box.dataset.progress, { headers: { "X-Poll": "1" } });
  } catch {
    setTimeout(look, 2000);
    return;
  }
  if (!answer.ok || answer.headers.get("X-Running") !== "1") {
    location.replace(location.pathname);
    return;
  }
  const list = box.querySelector("[data-steps]");
  const text = await answer.text();
  if (list.innerHTML !== text) list.innerHTML = text;
  setTimeout(look, 700);
}
if (box) setTimeout(look, 500);
