// Asks the server for curves whenever a control moves; only the newest answer is shown.
(() => {
  const choices = CHOICES;
  const at = (id) => document.getElementById(id);
  const state = { ...choices.start };
  let waiting = null;
  let timer = 0;

  function fill(id, names) {
    for (const name of names) at(id).append(new Option(name, name));
    at(id).value = state[id];
    at(id).addEventListener("input", () => { state[id] = at(id).value; ask(); });
  }
  function slide(id, words) {
    const input = at(id);
    const stops = choices[id];
    Object.assign(input, { min: 0, max: stops.length - 1, step: 1 });
    input.value = stops.indexOf(state[id]);
    const show = () => {
      input.nextElementSibling.textContent = words(stops[+input.value]);
      input.setAttribute("aria-valuetext", words(stops[+input.value]));
    };
    input.addEventListener("input", () => { state[id] = stops[+input.value]; show(); ask(); });
    show();
  }
  function ask() {
    at("share").disabled = state.policy === "replace";
    clearTimeout(timer);
    timer = setTimeout(() => {
      at("said").textContent = `Simulating ${state.family}, policy ${state.policy} …`;
      fetchCurves(0);
    }, 60); // milliseconds: a slider that moves asks once
  }
  async function fetchCurves(chains) { // more of them than the page has
    waiting?.abort();
    waiting = new AbortController();
    const asked = { ...state, rows: Math.max(state.rows, choices.families[state.family]), chains };
    try {
      const answer = await fetch(`curves?${new URLSearchParams(asked)}`, { signal: waiting.signal });
      const found = await answer.json();
      if (found.superseded) return;
      if (found.error) { at("said").textContent = found.error; return; }
      const percent = `, ${+(100 * asked.share).toPrecision(3)} % originals`;
      const rows = `, ${found.original.toLocaleString("en")} of them original`; // a model makes at least one
      const share = { replace: "", mixing: percent }[asked.policy] ?? rows;
      at("said").textContent = `${asked.family}, policy ${asked.policy}, M = ${asked.rows.toLocaleString("en")}${share}: ${found.chains.toLocaleString("en")} chains over ${asked.generations} generations in ${found.seconds} s${found.more ? "; more follow" : ""}`;
      at("python").textContent = found.python;
      at("command").textContent = found.command || "The command line has no experiment of this family; use the Python code.";
      CollapseViewer.mount(at("curves"), found.view);
      CollapseViewer.markCut();
      if (found.more) fetchCurves(found.chains);
    } catch (error) {
      if (error.name !== "AbortError") at("said").textContent = `The server does not answer: ${error.message}. Start collapse explore again.`;
    }
  }
  for (const button of document.querySelectorAll("[data-copies]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(at(button.dataset.copies).textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
  fill("family", Object.keys(choices.families));
  fill("policy", choices.policies);
  slide("rows", (one) => one.toLocaleString("en"));
  slide("share", (one) => `${+(100 * one).toPrecision(3)} %`);
  slide("generations", (one) => one.toLocaleString("en"));
  addEventListener("resize", CollapseViewer.markCut);
  at("settings").addEventListener("submit", (event) => event.preventDefault());
  ask();
})();
