// A panel in the browser. The kernel writes its parts as HTML; what is clicked, chosen, typed or dragged goes back to it.
// data-do: a click; data-set: a changed input; data-find: typing; data-brush: dragging over a picture;
// data-row: the mark of one loss in a picture; data-copy: copies the text of the element it names.
"use strict";

const KEYS = ["data-do", "data-set", "data-find", "data-copy"];
const PIECE = 6 << 20; // bytes
// With the tag: a row and the button in it ask for the same, but only the button can be focused. What asks for nothing,
// as a fold's head, goes by the part of the page that it heads.
const keyOf = (node) => {
  const arg = node.dataset.arg ?? node.parentElement?.closest("details")?.dataset.arg;
  return [node.tagName, arg, node.dataset.name, ...KEYS.map((name) => node.getAttribute(name))].join("|");
};

function render({ model, el }) {
  el.classList.add("sfnb", "sfnb-live");
  let timer, drag, last, waiting, uploads = Promise.resolve();
  const send = (what, arg, value, from) => {
    last = from && [from.tagName, keyOf(from)];
    el.setAttribute("aria-busy", "true");
    model.send({ do: what, arg, value });
  };

  function update() {
    const parts = model.get("parts");
    const said = el.querySelector('[data-part="said"]');
    if (said) el.append(said); // out of what is written anew
    const held = el.contains(document.activeElement) ? document.activeElement : null;
    const [tag, key, at] = [held?.tagName, held && keyOf(held), held?.selectionStart];
    const nth = held && alike(tag, key).indexOf(held);
    for (const [name, html] of Object.entries(parts)) {
      let part = el.querySelector(`[data-part="${name}"]`);
      if (!part) {
        part = document.createElement("div");
        part.dataset.part = name;
        if (name === "said") part.setAttribute("aria-live", "polite");
        el.append(part);
      }
      if (part.dataset.html === html) continue;
      if (part.contains(held) && unsent(held)) {
        waiting = true; // what is being typed would be lost
        continue;
      }
      part.dataset.html = html;
      const fold = (one) => one.dataset.arg ?? one.querySelector("summary")?.textContent;
      const folds = new Map([...part.querySelectorAll("details")].map((one) => [fold(one), one.open]));
      part.innerHTML = html;
      for (const one of part.querySelectorAll("details")) one.open = folds.get(fold(one)) ?? one.open;
    }
    answer();
    if (held && !held.isConnected) {
      const same = alike(tag, key)[nth] ?? alike(tag, key)[0];
      same?.focus({ preventScroll: true });
      if (same?.setSelectionRange && at != null) try { same.setSelectionRange(at, at); } catch { /* a date has none */ }
    }
    mark();
  }

  const unsent = (field) => field.matches("input[data-set], textarea[data-set]") && field.value !== field.defaultValue;
  const alike = (tag, key) => [...el.querySelectorAll(tag)].filter((one) => keyOf(one) === key);

  // What is said stands beside what was clicked or filled in, not at the panel's end.
  function answer() {
    const [said, asked] = [el.querySelector('[data-part="said"]'), last && alike(...last)[0]];
    if (!said || !asked) return;
    asked.closest(".sfnb-bar, .sfnb-wide, table, p")?.after(said);
    if (asked.matches("input, select, textarea")) asked.toggleAttribute("aria-invalid", Boolean(said.querySelector(".sfnb-bad")));
  }

  function mark() {
    const { rows = null, chosen = [], brush = {} } = model.get("marks");
    const [on, picked] = [rows && new Set(rows), new Set(chosen)];
    for (const one of el.querySelectorAll("path[data-row]")) {
      const row = Number(one.dataset.row);
      one.classList.toggle("sfnb-off", on !== null && !on.has(row));
      one.classList.toggle("sfnb-picked", picked.has(row));
    }
    for (const host of el.querySelectorAll("[data-brush]")) shade(host, brush[host.dataset.brush]);
  }

  const plot = (host) => host.querySelector("svg path.background")?.getBoundingClientRect();
  const share = (host, x) => Math.min(1, Math.max(0, (x - plot(host).left) / plot(host).width));

  function shade(host, ends) {
    host.querySelector(".sfnb-shade")?.remove();
    if (!ends || !plot(host)) return;
    const [box, at] = [plot(host), host.getBoundingClientRect()];
    const shown = document.createElement("div");
    shown.className = "sfnb-shade";
    Object.assign(shown.style, {
      left: `${box.left - at.left + host.scrollLeft + ends[0] * box.width}px`, width: `${(ends[1] - ends[0]) * box.width}px`,
      top: `${box.top - at.top}px`, height: `${box.height}px`,
    });
    host.append(shown);
  }

  const ends = (event) => [drag.from, share(drag.host, event.clientX)].sort((a, b) => a - b);
  function move(event) {
    if (Math.abs(event.clientX - drag.x) > 4) drag.moved = true;
    if (drag.moved) shade(drag.host, ends(event));
  }
  function up(event) {
    window.removeEventListener("pointermove", move);
    const { host, moved } = drag;
    if (moved) send("brush", host.dataset.brush, ends(event));
    else if (event.target.dataset.row) send("row", event.target.dataset.row);
    else if ((model.get("marks").brush ?? {})[host.dataset.brush]) send("brush", host.dataset.brush, null);
    drag = undefined;
  }
  el.addEventListener("pointerdown", (event) => {
    const host = event.target.closest("[data-brush]");
    if (!host || event.button || !plot(host)) return;
    event.preventDefault();
    drag = { host, x: event.clientX, from: share(host, event.clientX), moved: false };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", up, { once: true });
  });

  // A part that is written anew, or moves, between press and release takes the click with it: what was pressed is done.
  let pressed;
  el.addEventListener("pointerdown", (event) => {
    const asked = event.button ? null : event.target.closest("[data-do], summary");
    pressed = asked && { asked, x: event.clientX, y: event.clientY };
  });
  function released(event) {
    const still = pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < 4;
    const { asked } = pressed ?? {};
    pressed = undefined;
    if (!still || asked.contains(event.target)) return;
    if (asked.dataset.do) send(asked.dataset.do, asked.dataset.arg, asked.dataset.value, asked);
    else alike(asked.tagName, keyOf(asked))[0]?.click();
  }
  window.addEventListener("pointerup", released);

  // The space bar works what it is let go on: what was written anew meanwhile is worked, too.
  let spaced;
  el.addEventListener("keydown", (event) => {
    if (event.key === " ") spaced = event.target;
  });
  el.addEventListener("keyup", (event) => {
    const before = spaced;
    spaced = undefined;
    if (event.key !== " " || !before || before.isConnected || !event.target.matches("button, summary")) return;
    if (keyOf(before) === keyOf(event.target)) event.target.click();
  });

  el.addEventListener("click", (event) => {
    const copied = event.target.closest("[data-copy]");
    if (copied) return copy(copied);
    const asked = event.target.closest("[data-do]");
    if (!asked) return;
    if (asked.tagName === "A") event.preventDefault();
    event.stopPropagation();
    send(asked.dataset.do, asked.dataset.arg, asked.dataset.value, asked);
  });
  // Enter sends what was typed: JupyterLab leaves a field's own change to when it is left.
  el.addEventListener("keydown", (event) => {
    const typed = event.key === "Enter" && event.target.matches("input[data-set]") && unsent(event.target);
    if (typed) event.target.dispatchEvent(new Event("change", { bubbles: true }));
  });
  el.addEventListener("change", (event) => {
    const { set, arg } = event.target.dataset;
    if (event.target.matches("input[data-set]:not([type=checkbox])") && !unsent(event.target)) return; // Enter has sent it
    if (event.target.type === "file") return arrived(event.target.closest("[data-drop]"), event.target.files);
    const value = event.target.type === "checkbox" ? event.target.checked : event.target.value;
    event.target.defaultValue = event.target.value; // sent
    if (set) send(set, arg, value, event.target);
  });
  // Who closes the window, or goes to another, leaves no field.
  function left() {
    const typed = [...el.querySelectorAll("[data-set]")].filter(unsent);
    for (const field of typed) field.dispatchEvent(new Event("change", { bubbles: true }));
  }
  for (const end of ["beforeunload", "blur"]) window.addEventListener(end, left);
  el.addEventListener("focusout", () => {
    if (!waiting) return;
    waiting = false;
    setTimeout(update);
  });
  el.addEventListener("input", (event) => {
    const { find } = event.target.dataset;
    clearTimeout(timer);
    if (find) timer = setTimeout(() => send(find, null, event.target.value), 250);
  });
  el.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = step ? [...(event.target.closest("tbody")?.querySelectorAll("tr button") ?? [])] : [];
    const next = rows[rows.indexOf(event.target) + step];
    if (!rows.includes(event.target) || !next) return;
    event.preventDefault();
    next.focus();
  });

  // one after the other: the second of two logs of one name must see the first
  function arrived(zone, files) {
    const [folder, all] = [zone.dataset.drop, [...files]];
    uploads = uploads.then(() => upload(folder, all));
  }

  // JupyterLab's own way in, in pieces: a message to the kernel would be lost above 10 MiB
  async function upload(folder, files) {
    const { baseUrl, token } = JSON.parse(document.getElementById("jupyter-config-data").textContent);
    const xsrf = document.cookie.match(/_xsrf=([^;]+)/)?.[1] ?? "";
    const headers = { "X-XSRFToken": xsrf, Authorization: `token ${token}` };
    el.setAttribute("aria-busy", "true");
    const there = await fetch(`${baseUrl}api/contents/${folder}`, { headers });
    if (!there.ok) return send("uploaded", files[0].name, there.status);
    const taken = new Set((await there.json()).content.map((one) => one.name.toLowerCase())); // as Windows and macOS do
    for (const file of files) {
      let name = file.name; // another customer's log of that name stays
      for (let n = 2; taken.has(name.toLowerCase()); n++) name = file.name.replace(/(?=\.|$)/, `-${n}`);
      taken.add(name.toLowerCase());
      for (let at = 0, chunk = 1; chunk === 1 || at < file.size; at += PIECE, chunk++) {
        const bytes = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
        let text = "";
        for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
        const last = at + PIECE >= file.size;
        const body = { type: "file", format: "base64", content: btoa(text), chunk: last && chunk > 1 ? -1 : chunk };
        if (last && chunk === 1) delete body.chunk;
        const answer = await fetch(`${baseUrl}api/contents/${folder}/${encodeURIComponent(name)}`, {
          method: "PUT", body: JSON.stringify(body), headers,
        });
        if (!answer.ok) return send("uploaded", file.name, answer.status);
      }
      send("uploaded", name, 0);
    }
  }
  el.addEventListener("dragover", (event) => { if (event.target.closest("[data-drop]")) event.preventDefault(); });
  el.addEventListener("drop", (event) => {
    const zone = event.target.closest("[data-drop]");
    if (!zone) return;
    event.preventDefault();
    event.stopPropagation();
    arrived(zone, event.dataTransfer.files);
  });

  async function copy(button) {
    const text = el.querySelector(`[data-name="${button.dataset.copy}"]`).textContent.trim();
    try {
      await navigator.clipboard.writeText(text);
    } catch { // no permission: the old way
      const area = Object.assign(document.createElement("textarea"), { value: text });
      el.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("sfnb-done");
    setTimeout(() => button.classList.remove("sfnb-done"), 1500);
  }

  model.on("msg:custom", (message, buffers) => {
    if (message.done) el.removeAttribute("aria-busy");
    // not where the reader has gone on to another panel meanwhile
    const elsewhere = document.activeElement.closest(".sfnb-live") ?? el;
    if (message.show && elsewhere === el) el.querySelector(`[data-name="${message.show}"]`)?.scrollIntoView({ block: "nearest" });
    if (message.open) window.open(message.open, "_blank", "noopener");
    if (!message.download) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([buffers[0]]));
    link.download = message.download;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });
  model.on("change:parts", update);
  model.on("change:marks", mark);
  const watcher = new ResizeObserver(mark);
  watcher.observe(el);
  update();
  return () => {
    watcher.disconnect();
    window.removeEventListener("pointerup", released);
    for (const end of ["beforeunload", "blur"]) window.removeEventListener(end, left);
  };
}

export default { render };
