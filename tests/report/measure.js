// What tests/report/test_report_layout.py asks of a page: each function returns what is wrong.
"use strict";
const overflowing = () => {
  const wide = document.documentElement.clientWidth + 1;
  return [...document.body.querySelectorAll("*")].filter((node) => {
    const inside = node.closest(".hide, .skip, svg") || (node.closest(".scroll") && node.className !== "scroll");
    const box = node.getBoundingClientRect();
    return !inside && box.width && box.right > wide;
  }).map((node) => `${node.tagName}.${node.className}: ${node.textContent.slice(0, 60)}`);
};

const parse = (text) => {
  const parts = text.match(/[\d.]+/g).map(Number);
  return [...parts.slice(0, 3), parts[3] ?? 1];
};
const over = (front, back) => front.slice(0, 3).map((value, place) => value * front[3] + back[place] * (1 - front[3]));
const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const luminance = ([red, green, blue]) => 0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);

// WCAG 2.2, 1.4.3: 4.5 to 1, and 3 to 1 for large text.
const contrast = (node) => {
  const layers = [];
  let opacity = 1;
  for (let at = node; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    layers.unshift(parse(style.backgroundColor));
    opacity *= Number(style.opacity);
  }
  const back = layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  const front = parse(getComputedStyle(node).color);
  const [a, b] = [luminance(over([...front.slice(0, 3), front[3] * opacity], back)), luminance(back)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
const faint = () => {
  const found = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const unseen = node.closest("script, style, svg, .hide, .skip") || !node.getClientRects().length;
    if (unseen || !walker.currentNode.data.trim()) continue;
    const style = getComputedStyle(node), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast(node) < (large ? 3 : 4.5)) found[`${node.tagName}.${node.className}`] = contrast(node).toFixed(2);
  }
  return found;
};

const cutOff = () => [...document.querySelectorAll("svg text")].filter((text) => {
  const room = text.closest(".node")?.querySelector("rect") ?? text.ownerSVGElement;
  const box = text.getBoundingClientRect(), frame = room.getBoundingClientRect();
  return box.left < frame.left - 1 || box.right > frame.right + 1;
}).map((text) => text.textContent);

const scrolled = () => [...document.querySelectorAll(".scroll")]
  .filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.getAttribute("aria-label"));
