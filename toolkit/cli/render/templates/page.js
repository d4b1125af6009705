// Filters, sorts and unfolds what is in the page already. Nothing is made of text as markup, and nothing is stored.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  for (const part of document.querySelectorAll(".filter, .with")) part.hidden = false;

  const table = document.querySelector(".images");
  const rows = table ? [...table.tBodies] : [];
  const form = document.querySelector(".filter");
  const words = form && form.querySelector("input[type=search]");
  const boxes = form ? [...form.querySelectorAll("input[type=checkbox]")] : [];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const states = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let shown = 0;
    for (const row of rows) {
      row.hidden = !(states.has(row.dataset.state) && wanted.every((word) => texts.get(row).includes(word)));
      shown += row.hidden ? 0 : 1;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length} shown`;
    document.querySelector(".nothing").hidden = shown > 0;
  };

  const sort = (heading) => {
    const column = heading.cellIndex;
    const goesUp = heading.getAttribute("aria-sort") !== "ascending";
    for (const one of heading.parentNode.cells) one.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", goesUp ? "ascending" : "descending");
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    const keys = new Map(rows.map((row) => {
      const cell = row.rows[0].cells[column];
      return [row, cell.dataset.sort ?? (cell.querySelector("a") ?? cell).textContent.trim()];
    }));
    const isNumber = rows.every((row) => keys.get(row) !== "" && !Number.isNaN(Number(keys.get(row))));
    rows.sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)];
      if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last, either way
      return (goesUp ? 1 : -1) * (isNumber ? a - b : compare(a, b));
    });
    table.append(...rows);
  };

  const unfold = (row, isOpen) => {
    const toggle = row.querySelector(".toggle");
    if (!toggle) return;
    row.classList.toggle("open", isOpen);
    toggle.setAttribute("aria-expanded", String(isOpen));
  };

  for (const row of rows) {
    if (!row.querySelector(".more")) continue;
    const toggle = document.createElement("button");
    toggle.type = "button";
    toggle.className = "toggle";
    toggle.setAttribute("aria-label", "Details");
    toggle.setAttribute("aria-expanded", "false");
    toggle.addEventListener("click", () => unfold(row, !row.classList.contains("open")));
    row.rows[0].cells[0].prepend(toggle);
  }
  if (table) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(heading));
      heading.append(button);
    }
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    // Where something happens, what stays as it is is a click away. The last state is the one in which nothing happens.
    const last = boxes.at(-1);
    const quiet = rows.filter((row) => row.dataset.state === last.value).length;
    last.checked = boxes.length === 1 || quiet <= 20;
    filter();
  }

  const follow = () => {
    let name = location.hash.slice(1);
    try {
      name = decodeURIComponent(name);
    } catch {
      // a fragment that is no encoding stands for itself
    }
    const target = name && document.getElementById(name);
    if (!target) return;
    for (let one = target.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
    for (const row of rows) row.classList.remove("marked");
    const row = target.closest(".images tbody");
    if (!row) return;
    if (row.hidden) {
      words.value = "";
      for (const box of boxes) box.checked ||= box.value === row.dataset.state;
      filter();
    }
    row.classList.add("marked");
    unfold(row, true);
    row.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", follow);
  follow();

  const picture = document.querySelector(".picture");
  if (picture) {
    const lines = [...picture.querySelectorAll(".line")].map((line) => [line, line.dataset.ends.split(" ")]);
    const places = new Map([...picture.querySelectorAll(".box")].map((box) => [box.dataset.box, box]));
    const light = (box) => {
      for (const one of picture.querySelectorAll(".on")) one.classList.remove("on");
      picture.classList.toggle("lit", Boolean(box));
      if (!box) return;
      // To the left and to the right of the box, and no way back: a neighbour's other lines are not its own.
      const walk = (id, from, to) => {
        places.get(id).classList.add("on");
        for (const [line, ends] of lines) {
          if (ends[from] !== id) continue;
          line.classList.add("on");
          walk(ends[to], from, to);
        }
      };
      walk(box.dataset.box, 0, 1);
      walk(box.dataset.box, 1, 0);
    };
    for (const box of places.values()) {
      box.addEventListener("mouseenter", () => light(box));
      box.addEventListener("focus", () => light(box));
      box.addEventListener("mouseleave", () => light(null));
      box.addEventListener("blur", () => light(null));
      if (box.dataset.filter && form) {
        box.addEventListener("click", () => {
          words.value = box.dataset.filter;
          for (const one of boxes) one.checked = true;
          filter();
        });
      }
    }
  }

  const say = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const time of document.querySelectorAll(".images time")) {
    const days = Math.round((new Date(time.dateTime) - Date.now()) / 86400000);
    if (Number.isNaN(days)) continue;
    const [count, unit] = days > -60 ? [days, "day"] : days > -730 ? [days / 30.4, "month"] : [days / 365.25, "year"];
    const age = document.createElement("small");
    age.textContent = say.format(Math.round(count), unit);
    time.after(age);
  }

  const data = document.getElementById("_result").textContent;
  document.getElementById("_save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([data], { type: "application/json" }));
    link.download = "result.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  const shown = document.getElementById("_show");
  shown.addEventListener("toggle", () => {
    const text = shown.querySelector("pre");
    if (!text.firstChild) text.textContent = JSON.stringify(JSON.parse(data), null, 2);
  });

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("main details:not([open])")].filter((one) => one !== shown);
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
})();
