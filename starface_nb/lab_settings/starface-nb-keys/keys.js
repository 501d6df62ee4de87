// A JupyterLab extension written as what its builder would make of it: no build step, no dependency.
// JupyterLab's command mode takes every key on a list, radio button, slider or link in an output: arrows move from cell
// to cell, X cuts the cell. In a panel (class sfnb) plain keys belong to what has the focus; with Ctrl, Alt or Cmd, and
// Shift+Enter, which runs the cell, they stay JupyterLab's.
"use strict";

function giveKeysToPanels(event) {
  if (!event.target.closest?.(".sfnb")) return;
  const runs = event.key === "Enter" && event.shiftKey;
  const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !runs;
  event.target.toggleAttribute("data-lm-suppress-shortcuts", plain); // Lumino's own sign: no shortcut here
}

const plugin = {
  id: "starface-nb-keys:plugin",
  autoStart: true,
  activate: () => window.addEventListener("keydown", giveKeysToPanels, true), // before JupyterLab sees the key
};

(globalThis._JUPYTERLAB ??= {})["starface-nb-keys"] = {
  init: () => {},
  get: async () => () => ({ __esModule: true, default: plugin }),
};
