// A JupyterLab extension written as what its builder would make of it: no build step, no dependency. In a narrow window it
// starts with the list of files folded.
// JupyterLab's command mode takes every key on a list, radio button, slider or link in an output: arrows move from cell
// to cell, X cuts the cell. In a panel (class sfnb) plain keys belong to what has the focus; with Ctrl, Alt or Cmd, and
// Shift+Enter, which runs the cell, they stay JupyterLab's.
"use strict";

const NARROW = 1200; // pixels

function giveKeysToPanels(event) {
  if (!event.target.closest?.(".sfnb")) return;
  const runs = event.key === "Enter" && event.shiftKey;
  const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !runs;
  event.target.toggleAttribute("data-lm-suppress-shortcuts", plain); // Lumino's own sign: no shortcut here
}

// ipywidgets waits two seconds for a panel's model, and takes one for lost that comes just then: it is shown once more.
const LOST = "Error displaying widget: model not found";

function showLost(app) {
  const tried = new WeakSet();
  const isLost = (one) => one.renderModel && one.node.firstChild?.data === LOST && !tried.has(one);
  const look = () => {
    for (const { content } of app.shell.widgets("main")) {
      for (const { outputArea } of content?.widgets ?? []) {
        outputArea?.widgets.forEach((output, i) => {
          for (const lost of (output.widgets ?? []).filter(isLost)) {
            tried.add(lost);
            lost.renderModel(outputArea.model.get(i));
          }
        });
      }
    }
  };
  const shown = new MutationObserver((all) => all.some(({ target }) => target.firstChild?.data === LOST) && look());
  shown.observe(document.body, { childList: true, subtree: true });
}

const plugin = {
  id: "starface-nb-keys:plugin",
  autoStart: true,
  activate: (app) => {
    window.addEventListener("keydown", giveKeysToPanels, true); // before JupyterLab sees the key
    showLost(app);
    app.restored.then(() => {
      if (window.innerWidth < NARROW) app.shell.collapseLeft(); // the list of files would take a third of the notebook
    });
  },
};

(globalThis._JUPYTERLAB ??= {})["starface-nb-keys"] = {
  init: () => {},
  get: async () => () => ({ __esModule: true, default: plugin }),
};
