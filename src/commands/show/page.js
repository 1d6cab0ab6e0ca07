
"use strict";
// Text from the documents is only ever set as textContent, so no name can become markup.
(() => {
  // The number of rows that are added at a time: a table of 100,000 rows would take the browser many seconds.
  const CHUNK = 200;
  const COLUMNS = [
    { key: "name", title: "Name" },
    { key: "id", title: "Id" },
    { key: "cluster", title: "Cluster" },
    { key: "sockets", title: "Sockets", number: true },
    { key: "count", title: "Guests", number: true },
    { key: "states", title: "States" },
  ];
  const byId = (id) => document.getElementById(id);
  const json = (element) => JSON.parse(element.textContent);
  const states = json(byId("states"));
  const collator = new Intl.Collator("en", { numeric: true });
  const number = new Intl.NumberFormat("en");
  const state = { query: "", sort: "name", descending: false, guests: false };

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function cell(value, isNumber) {
    const made = element("td", undefined, isNumber ? "number" : "");
    // A name that is written from right to left does not move its neighbours.
    made.append(element("bdi", value));
    return made;
  }

  const counted = (count, noun) => `${number.format(count)} ${noun}${count === 1 ? "" : "s"}`;

  // A host of the page's data: [name, id, cluster, sockets, unit, guests]; a guest: [id, state, name, uuid, moref]. The unit is 0 for
  // sockets, 1 for CPUs, 2 for whatever the source counts.
  function host([name, id, cluster, sockets, unit, guests], sourceCounts) {
    const isCpus = unit === 1 || (unit === 2 && sourceCounts === 1);
    const counts = new Map();
    for (const guest of guests) counts.set(guest[1], (counts.get(guest[1]) || 0) + 1);
    const shown = [...counts].sort(([a], [b]) => (a || 8) - (b || 8));
    return {
      name, id, cluster, guests, sockets, isCpus,
      count: guests.length,
      states: shown.map(([own, count]) => `${count} ${states[own]}`).join(", "),
      text: `${name}\n${id}\n${cluster}`.toLowerCase(),
      open: false,
    };
  }

  const guestText = ([id, own, name, uuid, moref]) => `${name}\n${id}\n${uuid}\n${moref}\n${states[own]}`.toLowerCase();

  // The texts of the guests are made when the first search needs them.
  function matchingGuests(of, query) {
    of.guestTexts ||= of.guests.map(guestText);
    return of.guests.filter((_, index) => of.guestTexts[index].includes(query));
  }

  function compare(a, b) {
    const [one, other] = [a[state.sort], b[state.sort]];
    const isNumber = COLUMNS.find((column) => column.key === state.sort).number;
    const order = isNumber ? (one ?? -1) - (other ?? -1) : collator.compare(one, other);
    return (state.descending ? -order : order) || collator.compare(a.name, b.name) || collator.compare(a.id, b.id);
  }

  // A table whose rows are drawn as they scroll into view, or all of them before the page is printed.
  function lazyTable(caption, columns, draw) {
    const table = element("table");
    table.append(element("caption", caption));
    const headings = table.createTHead().insertRow();
    for (const column of columns) {
      const heading = element("th", column.key ? undefined : column.title, column.number ? "number" : "");
      heading.scope = "col";
      if (column.key) {
        const button = element("button", column.title);
        button.type = "button";
        button.addEventListener("click", () => sortBy(column.key));
        heading.append(button);
        heading.dataset.key = column.key;
      }
      headings.append(heading);
    }
    const body = table.createTBody();
    const more = element("button", "Show more", "more");
    more.type = "button";
    let rows = [];
    let drawn = 0;
    function drawTo(end) {
      const fragment = document.createDocumentFragment();
      for (; drawn < Math.min(end, rows.length); drawn++) fragment.append(draw(rows[drawn]));
      body.append(fragment);
      more.hidden = drawn >= rows.length;
    }
    more.addEventListener("click", () => drawTo(drawn + CHUNK));
    const watch = new IntersectionObserver(
      (seen) => seen.some((entry) => entry.isIntersecting) && drawTo(drawn + CHUNK),
      { rootMargin: "600px" },
    );
    watch.observe(more);
    addEventListener("beforeprint", () => drawTo(rows.length));
    return {
      parts: [table, more],
      headings: [...headings.cells],
      fill(next, atLeast = 0) {
        rows = next;
        drawn = 0;
        body.replaceChildren();
        table.hidden = rows.length === 0;
        drawTo(Math.max(CHUNK, atLeast));
      },
      drawn: () => drawn,
      drawAll: () => drawTo(rows.length),
    };
  }

  function drawHost(of, toggle) {
    const row = element("tr", undefined, "host");
    const name = cell(of.name, false);
    if (of.count > 0) {
      const button = element("button");
      button.type = "button";
      button.append(name.firstChild);
      button.setAttribute("aria-expanded", String(of.isShown));
      button.addEventListener("click", () => toggle(of));
      name.append(button);
      of.button = button;
    }
    const sockets = of.sockets === null ? "unknown" : number.format(of.sockets) + (of.isCpus ? " CPUs" : "");
    row.append(name, cell(of.id), cell(of.cluster), cell(sockets, true), cell(number.format(of.count), true), cell(of.states));
    return row;
  }

  function drawGuest([id, own, name, uuid, moref]) {
    const row = element("tr", undefined, "guest");
    const other = [uuid && `uuid ${uuid}`, moref].filter(Boolean).join(", ");
    const last = cell(states[own]);
    row.append(cell(name || "guest"), cell(id), cell(other), cell(""), cell(""), last);
    return row;
  }

  function show(section) {
    const tail = json(section.querySelector("script.tail"));
    const hosts = json(section.querySelector("script.hosts")).map((data) => host(data, tail.counts));
    const status = element("p");
    status.setAttribute("role", "status");
    const list = lazyTable("Hosts", COLUMNS, (row) => (row.host ? drawHost(row.host, toggle) : drawGuest(row.guest)));
    const leftOut = lazyTable(
      "Left out",
      ["Kind", "Name", "Id", "Left out by", "Reason"].map((title) => ({ title })),
      (omitted) => {
        const row = element("tr", undefined, "omitted");
        row.append(...omitted.map((text) => cell(text)));
        return row;
      },
    );
    section.append(status, ...list.parts, ...leftOut.parts);

    // The hosts and guests that the search finds. A host that has the text itself is shown with all its guests.
    function rows() {
      const found = [];
      let hostsFound = 0;
      let guestsFound = 0;
      for (const of of hosts) {
        const whole = of.text.includes(state.query);
        const guests = whole ? of.guests : matchingGuests(of, state.query);
        if (!whole && guests.length === 0) continue;
        hostsFound += 1;
        guestsFound += guests.length;
        found.push({ host: of });
        of.isShown = state.guests || of.open || !whole;
        if (of.isShown) for (const guest of guests) found.push({ guest });
      }
      const all = hostsFound === hosts.length ? "" : ` of ${number.format(hosts.length)}`;
      status.textContent = `${counted(hostsFound, "host")}${all}, ${counted(guestsFound, "guest")}`;
      return found;
    }

    function toggle(of) {
      of.open = !of.isShown;
      list.fill(rows(), list.drawn());
      of.button.focus();
    }

    return () => {
      hosts.sort(compare);
      for (const heading of list.headings) {
        const order = state.descending ? "descending" : "ascending";
        if (heading.dataset.key === state.sort) heading.setAttribute("aria-sort", order);
        else heading.removeAttribute("aria-sort");
      }
      list.fill(rows());
      leftOut.fill(tail.omitted.filter((own) => own.join("\n").toLowerCase().includes(state.query)));
    };
  }

  function sortBy(key) {
    state.descending = state.sort === key && !state.descending;
    state.sort = key;
    update();
  }

  // The address holds the search, so that it can be kept and sent: report.html#q=web&sort=count&descending
  function readAddress() {
    const asked = new URLSearchParams(location.hash.slice(1));
    state.query = (asked.get("q") || "").toLowerCase();
    state.sort = COLUMNS.some((column) => column.key === asked.get("sort")) ? asked.get("sort") : "name";
    state.descending = asked.has("descending");
    state.guests = asked.has("guests");
    byId("query").value = asked.get("q") || "";
    byId("guests").checked = state.guests;
  }

  function writeAddress() {
    const address = new URLSearchParams();
    if (state.query) address.set("q", byId("query").value.trim());
    if (state.sort !== "name") address.set("sort", state.sort);
    if (state.descending) address.set("descending", "");
    if (state.guests) address.set("guests", "");
    const text = address.toString();
    // A page without an address of its own, such as a preview in a mail program, may refuse this.
    try { history.replaceState(null, "", text ? `#${text}` : location.pathname); } catch { /* It is a convenience only. */ }
  }

  const sections = [...document.querySelectorAll("section.mapping")].map(show);
  function update() {
    writeAddress();
    for (const fill of sections) fill();
  }

  byId("query").addEventListener("input", (event) => {
    state.query = event.target.value.trim().toLowerCase();
    update();
  });
  byId("guests").addEventListener("change", (event) => {
    state.guests = event.target.checked;
    update();
  });
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { readAddress(); update(); });
  byId("controls").hidden = false;
  byId("unfinished").remove();
  readAddress();
  update();
})();
