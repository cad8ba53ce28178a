// SPDX-License-Identifier: MIT
//
// A flame graph under the pointer: details, zoom (click, Escape), search (button, Ctrl-F, /).
// What is zoomed to and searched for is in the address, behind '#', so that it can be passed on.
(function () {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const HTML = "http://www.w3.org/1999/xhtml";
  const LETTER = 7.3;
  const svg = (document.currentScript && document.currentScript.ownerSVGElement) ||
              document.documentElement;
  const margin = Number(svg.dataset.margin);
  const width = svg.viewBox.baseVal.width;
  const room = width - 2 * margin;
  const details = svg.querySelector("#details");
  const resting = details.textContent;

  const frames = Array.from(svg.querySelectorAll("g.f"), function (group, index) {
    const box = group.querySelector("rect");
    const title = group.querySelector("title").textContent;
    return {
      index: index,
      group: group,
      box: box,
      text: group.querySelector("text"),
      title: title,
      name: title.slice(0, title.indexOf("\n"))
                 .replace(/ \((kernel|user|hypervisor|unknown)(, .*)?\)$/, ""),
      left: box.x.baseVal.value,
      width: box.width.baseVal.value,
      top: box.y.baseVal.value,
      value: Number(group.dataset.v),
      shown: true
    };
  });
  if (frames.length === 0) return;
  const root = frames[0];
  // The root is at the bottom of a flame graph, and at the top of an icicle.
  const up = frames.length > 1 && frames[1].top < root.top;
  let zoomed = root;
  let pattern = "";

  function within(frame, other) {  // other lies on the way from frame to the outside, or is it
    const middle = frame.left + frame.width / 2;
    const outside = up ? other.top >= frame.top : other.top <= frame.top;
    return outside && middle >= other.left && middle <= other.left + other.width;
  }

  function letters(character) {
    return character.codePointAt(0) >= 0x1100 ? 2 : 1;
  }

  function fit(frame, wide) {
    const most = Math.floor((wide - 8) / LETTER);
    if (most < 3) return "";
    const characters = Array.from(frame.name);
    let all = 0;
    for (const character of characters) all += letters(character);
    if (all <= most) return frame.name;
    let text = "";
    let used = 3;
    for (const character of characters) {
      used += letters(character);
      if (used > most) break;
      text += character;
    }
    return text + "...";
  }

  function place(frame, left, wide) {
    frame.box.setAttribute("x", left.toFixed(2));
    frame.box.setAttribute("width", Math.max(wide, 0).toFixed(2));
    frame.text.setAttribute("x", (left + 4).toFixed(2));
    frame.text.textContent = fit(frame, wide);
  }

  function zoom(target) {
    zoomed = target;
    const scale = room / target.width;
    for (const frame of frames) {
      const inside = within(frame, target);
      const above = !inside && within(target, frame);
      frame.shown = inside;
      frame.group.style.display = inside || above ? "" : "none";
      frame.group.classList.toggle("above", above);
      if (above) place(frame, margin, room);
      if (inside) place(frame, margin + (frame.left - target.left) * scale, frame.width * scale);
    }
    search(pattern);
  }

  function matcher(text) {
    try {
      const expression = new RegExp(text, "i");
      return function (name) { return expression.test(name); };
    } catch (error) {
      const lower = text.toLowerCase();
      return function (name) { return name.toLowerCase().includes(lower); };
    }
  }

  function search(text) {
    pattern = text;
    const matches = text === "" ? function () { return false; } : matcher(text);
    const found = frames.filter(function (frame) {
      const is = matches(frame.name);
      frame.group.classList.toggle("found", is);
      return is && frame.shown;
    });
    // What is inside another match is in its share already. Callers come first in the file.
    const rows = new Map();
    let sum = 0;
    for (const frame of found) {
      const middle = frame.left + frame.width / 2;
      let covered = false;
      rows.forEach(function (row) {
        // The last one of the row that begins at or before the middle.
        let low = 0, high = row.length;
        while (low < high) {
          const half = (low + high) >> 1;
          if (row[half].left <= middle) low = half + 1; else high = half;
        }
        if (low > 0 && middle <= row[low - 1].left + row[low - 1].width) covered = true;
      });
      if (covered) continue;
      sum += frame.value;
      if (!rows.has(frame.top)) rows.set(frame.top, []);
      rows.get(frame.top).push(frame);
    }
    const share = zoomed.value > 0 ? 100 * sum / zoomed.value : 0;
    matched.textContent = text === "" ? "" :
      found.length + " found, " + share.toFixed(2) + "% of " +
      (zoomed === root ? "all" : "what is shown");
    reset.style.display = text === "" && zoomed === root ? "none" : "";
    remember();
  }

  function remember() {
    const parts = [];
    if (pattern !== "") parts.push("search=" + encodeURIComponent(pattern));
    if (zoomed !== root) parts.push("zoom=" + zoomed.index);
    try {
      history.replaceState(null, "", parts.length > 0 ? "#" + parts.join("&") : location.pathname);
    } catch (error) {
      // Where a page has no address of its own there is nothing to remember it in.
    }
  }

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1));
    pattern = parts.get("search") || "";
    const target = frames[Number(parts.get("zoom") || 0)] || root;
    field.value = pattern;
    if (pattern !== "") panel.style.display = "";
    zoom(target);
  }

  function element(name, attributes, parent) {
    const made = document.createElementNS(SVG, name);
    for (const key of Object.keys(attributes)) made.setAttribute(key, attributes[key]);
    parent.appendChild(made);
    return made;
  }

  function button(label, right, action) {
    const wide = label.length * LETTER + 16;
    const group = element("g", {class: "button"}, svg);
    element("rect", {x: right - wide, y: 8, width: wide, height: 22, rx: 4}, group);
    element("text", {x: right - wide + 8, y: 23}, group).textContent = label;
    group.addEventListener("click", action);
    return group;
  }

  const matched = element("text", {class: "note", x: width - margin, y: 68, "text-anchor": "end"},
                          svg);
  button("Search", width - margin, function () { openSearch(); });
  const reset = button("Reset", width - margin - 70, function () { clear(); });

  const panel = element("foreignObject", {x: width - margin - 260, y: 31, width: 260, height: 24},
                        svg);
  const field = document.createElementNS(HTML, "input");
  field.setAttribute("type", "text");
  field.setAttribute("placeholder", "name, or regular expression");
  field.setAttribute("style", "width:100%;height:100%;box-sizing:border-box;margin:0;padding:0 6px;" +
                              "border:1px solid #888;border-radius:4px;font:12px monospace");
  panel.appendChild(field);
  panel.style.display = "none";
  field.addEventListener("input", function () { search(field.value); });
  field.addEventListener("keydown", function (event) {
    event.stopPropagation();
    if (event.key === "Escape") clear();
    if (event.key === "Enter") field.blur();
  });

  function openSearch() {
    panel.style.display = "";
    field.focus();
    field.select();
  }

  function clear() {
    field.value = "";
    field.blur();
    panel.style.display = "none";
    pattern = "";
    zoom(root);
  }

  for (const frame of frames) {
    frame.group.addEventListener("click", function () { zoom(frame); });
    frame.group.addEventListener("mouseenter", function () {
      details.textContent = frame.title.replace("\n", ": ");
    });
    frame.group.addEventListener("mouseleave", function () { details.textContent = resting; });
  }
  window.addEventListener("keydown", function (event) {
    if (event.key === "/" || (event.key === "f" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      openSearch();
    } else if (event.key === "Escape") {
      clear();
    }
  });
  window.addEventListener("hashchange", recall);
  recall();
})();
