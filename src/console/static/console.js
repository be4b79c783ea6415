// What a script adds to the pages of the console. Every page works without it. Texts from events
// only ever become text nodes; nothing here writes markup.
"use strict";

(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  /** An element with its attributes and children; a string becomes text. */
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // Times: the reader's zone beside UTC, the exact time in the title, relative ones kept fresh.

  // How far the reader's clock is behind the server's, where the page says when it was made.
  const made = Date.parse(document.documentElement.dataset.now ?? "");
  const skew = Number.isNaN(made) ? 0 : made - Date.now();

  const zoned = (options) => new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options });
  const clock = zoned({ hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
  const day = zoned({ day: "numeric", month: "short" });

  const local = (at) => {
    const isSameDay = at.getDate() === at.getUTCDate();
    return isSameDay ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`;
  };

  const relative = (at) => {
    const seconds = Math.round((Date.now() + skew - at) / 1000);
    const size = Math.abs(seconds);
    if (size < 45) return seconds < 0 ? "in a moment" : "just now";
    const [unit, name] = [[86400, "d"], [3600, "h"], [60, "min"]].find(([unit]) => size >= unit * 0.95) ?? [60, "min"];
    const count = Math.max(1, Math.round(size / unit));
    return seconds < 0 ? `in ${count} ${name}` : `${count} ${name} ago`;
  };

  const dress = (time) => {
    const at = new Date(time.dateTime);
    if (!time.dateTime.includes("T") || Number.isNaN(at.getTime())) return;
    const hasZone = at.getTimezoneOffset() !== 0;
    time.title = at.toISOString() + (hasZone ? ` · ${local(at)}` : "");
    if (time.classList.contains("relative")) time.textContent = relative(at);
    else if (hasZone && !time.classList.contains("left")) time.append(make("span", { class: "zone" }, ` ${local(at)}`));
  };

  const refresh = () => {
    for (const time of all("time.relative[title]")) {
      const text = relative(new Date(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // Keys.

  const PLACES = { o: "overview", e: "events", p: "people", a: "approvals", r: "rules", d: "deliveries", c: "coverage" };
  const KEYS = [
    ["/", "search"],
    ["j", "next row"],
    ["k", "row before"],
    ...Object.entries(PLACES).map(([key, name]) => [`g ${key}`, name]),
    ["?", "these keys"],
  ];
  const OFF = "usher.keys-off";
  const stored = {
    get off() {
      try { return localStorage.getItem(OFF) !== null; } catch { return false; }
    },
    set off(off) {
      try { off ? localStorage.setItem(OFF, "1") : localStorage.removeItem(OFF); } catch { /* not kept */ }
    },
  };

  const showKeys = () => {
    const list = make("dl", { class: "facts" });
    for (const [keys, what] of KEYS) {
      const caps = keys.split(" ").flatMap((key) => [make("kbd", {}, key), " "]);
      list.append(make("dt", {}, ...caps), make("dd", {}, what));
    }
    const enabled = make("input", { type: "checkbox" });
    enabled.checked = !stored.off;
    enabled.addEventListener("change", () => { stored.off = !enabled.checked; });
    const close = make("button", { type: "button", class: "primary" }, "Close");
    const title = make("h2", { id: "keys-title" }, "Keys");
    const choice = make("p", {}, make("label", {}, enabled, "Keys do something"));
    const dialog = make("dialog", { "aria-labelledby": "keys-title" }, title, list, choice, close);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    close.focus();
  };

  const goTo = (key) => {
    const name = PLACES[key];
    const link = all("nav.pages a[href]").find((link) => {
      const last = new URL(link.href).pathname.split("/").pop();
      return last === name || (name === "overview" && last === "");
    });
    link?.click();
  };

  const move = (step) => {
    const links = all("table.list tbody tr")
      .filter((row) => row.getClientRects().length > 0 && !row.closest("details:not([open])"))
      .map((row) => row.querySelector("a[href]"))
      .filter(Boolean);
    const row = document.activeElement?.closest("table.list tbody tr");
    const at = row ? links.findIndex((link) => row.contains(link)) : -1;
    const next = at < 0 ? links[step > 0 ? 0 : links.length - 1] : links[at + step];
    next?.focus();
  };

  let wentAt = -Infinity;

  const onKey = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const isTyping = event.target.closest?.(
      "input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable], dialog",
    );
    if (isTyping || stored.off) return;
    const isSecond = event.timeStamp - wentAt < 1500;
    wentAt = -Infinity;
    const { key } = event;
    if (isSecond && Object.hasOwn(PLACES, key)) goTo(key);
    else if (key === "g") wentAt = event.timeStamp;
    else if (key === "j") move(1);
    else if (key === "k") move(-1);
    else if (key === "?") showKeys();
    else if (key === "/") {
      const field = document.querySelector("main input[type=search], main input[name=q]");
      if (!field) return;
      field.focus();
      field.select();
    } else return;
    event.preventDefault();
  };

  // Bulk: choose all, choose a stretch with shift, and how many are chosen.

  const bulk = (form) => {
    const boxes = all("tbody input[type=checkbox]", form);
    if (boxes.length === 0) return;
    let every = form.querySelector("input[data-select-all]");
    if (!every) {
      every = make("input", { type: "checkbox", "data-select-all": "", "aria-label": "Choose all on this page" });
      boxes[0].closest("table").querySelector("thead th")?.replaceChildren(every);
    }
    let count = form.querySelector("[data-count]");
    if (!count) {
      count = make("span", { "data-count": "" });
      (form.querySelector(".bulk") ?? form).prepend(count);
    }
    count.setAttribute("role", "status");
    const tell = () => {
      const chosen = boxes.filter((box) => box.checked).length;
      every.checked = chosen === boxes.length;
      every.indeterminate = chosen > 0 && !every.checked;
      count.textContent = `${chosen} of ${boxes.length} chosen`;
    };
    let last = -1;
    boxes.forEach((box, at) => box.addEventListener("click", (event) => {
      if (event.shiftKey && last >= 0) {
        for (const other of boxes.slice(Math.min(last, at), Math.max(last, at) + 1)) other.checked = box.checked;
      }
      last = at;
      tell();
    }));
    every.addEventListener("change", () => {
      for (const box of boxes) box.checked = every.checked;
      tell();
    });
    // A browser that comes back to the page fills the boxes as they were.
    window.addEventListener("pageshow", tell);
    tell();
  };

  // Copy.

  const copy = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    // Beyond TLS and the own machine there is no clipboard for scripts, but the old way.
    const field = make("textarea", { class: "visually-hidden", readonly: "" });
    field.value = text;
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    if (!isDone) throw new Error("not copied");
  };

  const copyable = (element) => {
    let button = element;
    if (element.localName !== "button") {
      button = make("button", { type: "button", class: "copy" }, "Copy");
      element.after(" ", button);
    }
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await copy(element.dataset.copy || element.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied";
      }
      button.focus();
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  };

  // Live tail.

  const MOST_ROWS = 200;
  const TONES = {
    success: "ok", failure: "bad", verified: "ok", failed: "bad", key_unknown: "warn", unsigned: "warn",
  };
  const COLUMNS = ["Time (UTC)", "Name", "Outcome", "Verdict", "Who", "Address"];

  const text = (value) => (value === null || value === undefined ? "" : String(value));
  const chip = (word) => make("span", { class: `chip ${Object.hasOwn(TONES, word) ? TONES[word] : "muted"}` }, word);

  /** An address of this console, or none. */
  const own = (href) => {
    try {
      const url = new URL(href, location.href);
      return url.origin === location.origin ? url.href : null;
    } catch {
      return null;
    }
  };

  const tailRow = (event) => {
    const at = text(event.occurred_at);
    const time = make("time", { datetime: at }, at.replace("T", " ").replace(/(\.\d+)?Z$/, ""));
    dress(time);
    const href = event.href ? own(event.href) : null;
    return make(
      "tr", {},
      make("td", { class: "time" }, href ? make("a", { href }, time) : time),
      make("td", {}, make("bdi", {}, text(event.name))),
      make("td", {}, event.outcome ? chip(text(event.outcome)) : ""),
      make("td", {}, event.verification ? chip(text(event.verification)) : ""),
      make("td", { class: "id", title: text(event.principal_id) }, text(event.principal_id)),
      make("td", {}, make("bdi", {}, text(event.src))),
    );
  };

  const tail = (element) => {
    const url = own(element.dataset.tail);
    if (!url || !window.EventSource) return;
    const button = make("button", { type: "button" }, "Pause");
    const status = make("span", { role: "status" });
    let rows = element.querySelector("tbody");
    if (!rows) {
      rows = make("tbody");
      const heads = COLUMNS.map((name) => make("th", { scope: "col" }, name));
      const table = make("table", { class: "list" }, make("thead", {}, make("tr", {}, ...heads)), rows);
      element.replaceChildren(
        make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Events as they arrive" }, table),
      );
    }
    element.prepend(make("p", { class: "inline" }, button, status));

    let source = null;
    let waiting = [];
    let isPaused = false;
    let isDrawing = false;
    const say = (words) => { if (status.textContent !== words) status.textContent = words; };
    const draw = () => {
      isDrawing = false;
      if (isPaused || waiting.length === 0) return;
      rows.prepend(...waiting.reverse().map(tailRow));
      waiting = [];
      while (rows.rows.length > MOST_ROWS) rows.lastElementChild.remove();
    };
    const receive = (message) => {
      try {
        const event = JSON.parse(message.data);
        if (event === null || typeof event !== "object") return;
        waiting.push(event);
      } catch {
        return;
      }
      if (waiting.length > MOST_ROWS) waiting.shift();
      if (isPaused) {
        say(`Paused. ${waiting.length}${waiting.length === MOST_ROWS ? " or more" : ""} new`);
      } else if (!isDrawing) {
        isDrawing = true;
        requestAnimationFrame(draw);
      }
    };
    const open = () => {
      source = new EventSource(url);
      source.addEventListener("open", () => say(isPaused ? "Paused" : "Live"));
      source.addEventListener("message", receive);
      source.addEventListener("error", () => {
        const isOver = source.readyState === EventSource.CLOSED;
        say(isOver ? "Closed. Reload the page to go on" : "Away. Trying again");
      });
    };
    button.addEventListener("click", () => {
      isPaused = !isPaused;
      button.textContent = isPaused ? "Go on" : "Pause";
      if (source?.readyState === EventSource.OPEN) say(isPaused ? "Paused" : "Live");
      draw();
    });
    say("Connecting");
    open();
    window.addEventListener("pagehide", () => source.close());
    window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  };

  // Start.

  all("time[datetime]").forEach(dress);
  setInterval(refresh, 30_000);
  all("form.bulk-form").forEach(bulk);
  all("[data-copy]").forEach(copyable);
  all("[data-tail]").forEach(tail);

  const pages = document.querySelector("nav.pages");
  const here = pages?.querySelector("[aria-current]");
  if (here) pages.scrollLeft = here.offsetLeft - pages.offsetLeft - pages.clientWidth / 3;

  if (pages) {
    const keys = make("button", { type: "button", class: "copy" }, "Keys");
    keys.addEventListener("click", showKeys);
    document.querySelector("footer.bottom")?.append(keys);
  }
  document.addEventListener("keydown", onKey);

  // Paper shows what is folded, but not the numbers of a chart that it shows anyway.
  window.addEventListener("beforeprint", () => {
    for (const fold of all("details:not([open])")) {
      if (fold.closest("figure.chart")) continue;
      fold.dataset.folded = "";
      fold.open = true;
    }
  });
  window.addEventListener("afterprint", () => {
    for (const fold of all("details[data-folded]")) {
      fold.open = false;
      delete fold.dataset.folded;
    }
  });
})();
