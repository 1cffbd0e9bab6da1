// Makes the page live. Without this file everything still works, after a reload.

const list = document.querySelector("#messages");
const live = document.querySelector("#live");

// Times come from the server in UTC; people read them in their own zone.
const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
function localTimes(root) {
  for (const time of root.querySelectorAll("time")) time.textContent = when.format(new Date(time.dateTime));
}

function show(state, text) {
  live.hidden = false;
  live.dataset.state = state;
  live.textContent = text;
}

function add(event) {
  if (document.getElementById(`message-${event.lastEventId}`)) return;
  const item = document.createElement("template");
  item.innerHTML = event.data; // made by the server from the same template as the page, and escaped there
  localTimes(item.content);
  item.content.firstElementChild.classList.add("new");
  list.prepend(item.content);
  document.querySelector("#empty").hidden = true;
}

localTimes(document);
if (list.dataset.live) {
  const source = new EventSource(list.dataset.live); // reconnects by itself, saying what it saw last
  source.onopen = () => show("on", "Live");
  source.onerror = () => show("off", "Reconnecting…");
  source.onmessage = add;
}
