"use strict";
// Conveniences only: the page says everything without them. Reads text, writes text; never markup, never the network.
(() => {
  const language = document.documentElement.lang;
  const words = language === "ja" ? {filter: "この表を絞り込む", copy: "コピー", copied: "コピーしました"} : {filter: "Filter this table", copy: "Copy", copied: "Copied"};

  for (const table of document.querySelectorAll("table.filterable")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 12) continue;
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const box = document.createElement("input");
    box.type = "search";
    box.className = "filter";
    box.placeholder = words.filter;
    box.setAttribute("aria-label", words.filter);
    box.addEventListener("input", () => {
      const wanted = box.value.toLowerCase();
      rows.forEach((row, index) => { row.hidden = !texts[index].includes(wanted); });
    });
    table.closest(".scroll").before(box);
  }

  const addCopy = (before, read) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = words.copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(read());
      button.textContent = words.copied;
      setTimeout(() => { button.textContent = words.copy; }, 1500);
    });
    before.before(button);
  };
  if (navigator.clipboard) {
    for (const block of document.querySelectorAll("pre.command")) addCopy(block, () => block.textContent);
    for (const table of document.querySelectorAll("table.copyable")) {
      addCopy(table.closest(".scroll"), () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[1].textContent.trim()).join("\n"));
    }
  }

  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    const inner = target.querySelector(":scope > details");
    if (inner) inner.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  if (matchMedia("(max-width: 1100px)").matches) document.querySelector(".contents details").open = false;

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("main details:not([open])")];
    for (const node of opened) node.open = true;
  });
  addEventListener("afterprint", () => { for (const node of opened) node.open = false; });
})();
