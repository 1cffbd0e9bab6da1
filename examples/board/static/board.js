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

// The chat: lines as JSON over a WebSocket, which is opened again whenever it ends.
const chat = document.querySelector("#chat");
if (chat) {
  const lines = chat.querySelector("#lines");
  const form = chat.querySelector("form");
  const error = chat.querySelector(".error");
  const names = localStorage;
  const KEPT = 200;
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  let socket, last = 0, wait = 500;

  function say(line) {
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 20;
    const item = document.createElement("li");
    const time = item.appendChild(document.createElement("time"));
    time.dateTime = line.created_at;
    time.textContent = clock.format(new Date(line.created_at));
    item.appendChild(document.createElement("b")).textContent = line.author;
    item.append(" ", line.text);
    lines.append(item);
    while (lines.children.length > KEPT) lines.firstElementChild.remove();
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  }

  function open() {
    socket = new WebSocket(`chat?after=${last}`);
    socket.onopen = () => { wait = 500; chat.hidden = false; chat.dataset.state = "on"; };
    socket.onmessage = event => {
      const line = JSON.parse(event.data);
      error.hidden = !line.error;
      error.textContent = line.error ?? "";
      if (line.id > last) { last = line.id; say(line); }
    };
    socket.onclose = () => {
      chat.dataset.state = "off";
      setTimeout(open, wait);
      wait = Math.min(2 * wait, 30_000);
    };
  }

  form.speaker.value = names.getItem("speaker") ?? "";
  form.onsubmit = event => {
    event.preventDefault();
    if (socket.readyState !== WebSocket.OPEN) return; // what was typed stays for when it is back
    names.setItem("speaker", form.speaker.value);
    socket.send(JSON.stringify({ author: form.speaker.value, text: form.line.value }));
    form.line.value = "";
  };
  open();
}

// Figures that came by datagram: all of them, whenever one has changed.
const figures = document.querySelector("#figures");
if (figures) {
  const list = figures.querySelector("dl");
  const number = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });
  new EventSource("figures").onmessage = event => {
    const shown = JSON.parse(event.data);
    figures.hidden = !shown.length;
    const known = new Map([...list.children].map(item => [item.dataset.name, item]));
    for (const { name, value } of shown) {
      let item = known.get(name);
      if (!item) {
        item = document.createElement("div");
        item.dataset.name = name;
        item.appendChild(document.createElement("dt")).textContent = name;
        item.appendChild(document.createElement("dd"));
      }
      item.lastElementChild.textContent = number.format(value);
      list.append(item); // in the server's order
    }
  };
}
