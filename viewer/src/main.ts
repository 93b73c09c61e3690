import "./style.css";
import { Charts, noteSpeed, speedOf } from "./charts";
import { Connection } from "./connection";
import { Controls } from "./controls";
import { History, SPAN } from "./history";
import { WeightPath } from "./path";
import type { NodeName, Presence, State } from "./protocol";
import { Stage } from "./stage";
import { followTheme } from "./theme";
import { WeightImages } from "./weights";

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;

/** Charts and path are redrawn at most this often [ms]: they change slowly, and calm is worth more than the latest pixel. */
const CHART_PERIOD = 250;
const PATH_PERIOD = 66;

const history = new History();
let latest: State | null = null;
/** The moment that is shown [s, robot's time]; null: now. */
let shownAt: number | null = null;
/** What is shown plays on from a moment of the past, or stands still. */
let playing = true;
let connected = false;

// --- The parts of the page

const stage = new Stage($<HTMLCanvasElement>("stage"), (picked) => controls.open(picked));
const images = new WeightImages({
  layers: $("layers"),
  scale: $<HTMLCanvasElement>("scale"),
  low: $("scale-low"),
  high: $("scale-high"),
  detail: $("weight-detail"),
  legend: $("legend"),
  showWeights: $<HTMLButtonElement>("show-weights"),
  showChange: $<HTMLButtonElement>("show-change"),
});
const path = new WeightPath($<HTMLCanvasElement>("path"), $("path-detail"));
/** The one in the bar, and the one in a question, which makes all else inert. */
const stopButtons = document.querySelectorAll<HTMLButtonElement>("button.stop");
const charts = new Charts($("charts"), (before) => seek(history.now + before));
const controls = new Controls($("controls"), $("popover"), { connection: () => connection, say, ask });
const connection = new Connection({
  connected: (up, reason) => {
    connected = up;
    showNodes();
    if (!up) say(`${reason}; trying again …`, "bad", true);
    else if ($("notice").dataset.stays) $("notice").hidden = true;
  },
  text: (message) => {
    switch (message.type) {
      case "description":
        try {
          stage.describe(message.urdf);
        } catch (error) {
          say(`The robot's description cannot be drawn: ${(error as Error).message}`, "bad", true);
        }
        show();
        break;
      case "names":
        stage.setNames(message.joints, message.feet);
        charts.setFeet(message.feet);
        controls.setNames(message);
        break;
      case "layout":
        $("policy-name").textContent = message.policy;
        document.title = `${message.policy} · Hebbian viewer`;
        images.setLayout(message);
        path.forget();
        history.weights.length = 0;
        charts.setLayers(message.layers.length);
        break;
      case "ground":
        stage.setGround(message.shapes);
        break;
      case "services":
        controls.setServices(message.services, message.weights_file);
        for (const button of stopButtons) button.classList.toggle("absent", !controls.offers("policy/emergency_stop"));
        break;
      case "state":
        takeState(message);
    }
  },
  binary: (message) => {
    if (message.kind === "reference") path.setReference(message.reference);
    else {
      history.addWeights(message.weights);
      if (shownAt === null) showWeights();
    }
  },
});

followTheme($<HTMLButtonElement>("theme"), (theme) => {
  stage.setTheme(theme);
  images.setTheme(theme);
  path.setTheme(theme);
  charts.setTheme(theme);
  drawCharts();
});

// --- What arrives

function takeState(state: State) {
  const first = latest === null;
  latest = state;
  const before = history.states.at(-1);
  if (!history.addState(state)) shownAt = null;
  noteSpeed(history, before);
  showNodes();
  controls.show(state);
  // What is looked at must not slide out of what is kept.
  if (shownAt !== null && shownAt < history.begin) shownAt = history.begin;
  if (shownAt === null || first) show();
}

let chartsDrawn = 0;
let pathDrawn = 0;
/** The time before which the next frame of a replay is not due, by the page's clock [ms]. */
let replayed = performance.now();

function tick(now: number) {
  requestAnimationFrame(tick);
  if (document.hidden) return;
  if (shownAt !== null && playing) {
    shownAt += (now - replayed) / 1000;
    if (shownAt >= history.now) shownAt = null;
    show();
  }
  replayed = now;
  const patience = stage.plain ? 4 : 1;
  if (now - chartsDrawn > patience * CHART_PERIOD) {
    chartsDrawn = now;
    drawCharts();
  }
  if (now - pathDrawn > patience * PATH_PERIOD) {
    pathDrawn = now;
    path.show(history, shownAt ?? history.now);
  }
}
requestAnimationFrame(tick);

function drawCharts() {
  charts.draw(history, shownAt ?? history.now);
}

// --- What is shown

function show() {
  const time = shownAt ?? history.now;
  const state = history.stateAt(time);
  if (!state) return;
  stage.show(state, true);
  stage.drawTrail(history, time);
  $("waiting").hidden = stage.ready && state.joints.length > 0;
  showReadouts(state);
  showTimeline();
  if (shownAt !== null) showWeights();
}

function showWeights() {
  const weights = history.weightsAt(shownAt ?? Infinity);
  if (weights) images.show(weights, history);
}

function showReadouts(state: State) {
  const speed = speedOf(state);
  const rows: [string, string][] = [["time", `${state.time.toFixed(1)} s`]];
  if (speed !== null) rows.unshift(["speed", `${speed.toFixed(2)} m/s`]);
  if (state.base) rows.push(["height", `${(100 * state.base.position[2]).toFixed(1)} cm`]);
  if (state.simulation) rows.push(["simulated", `${state.simulation.real_time_factor.toFixed(2)} × real time`]);
  if (state.plasticity?.missed_steps) rows.push(["missed", `${state.plasticity.missed_steps} steps`]);
  const list = $("readouts");
  if (list.children.length !== 2 * rows.length) {
    list.replaceChildren(...rows.flatMap(() => [document.createElement("dt"), document.createElement("dd")]));
  }
  rows.forEach(([name, value], index) => {
    list.children[2 * index]!.textContent = name;
    list.children[2 * index + 1]!.textContent = value;
  });
}

const WORDS: Record<Presence, string> = { absent: "absent", live: "live", silent: "silent", lost: "lost" };

function showNodes() {
  const nodes: [string, Presence, number | null][] = [["viewer", connected ? "live" : "lost", null]];
  if (latest && connected) {
    for (const name of ["robot", "policy", "simulator"] as NodeName[]) {
      const { presence, age } = latest.nodes[name];
      // A robot that is not simulated is complete without a simulator.
      if (name !== "simulator" || presence !== "absent") nodes.push([name, presence, age]);
    }
  }
  const list = $("nodes");
  if (list.children.length !== nodes.length) list.replaceChildren(...nodes.map(() => document.createElement("li")));
  nodes.forEach(([name, presence, age], index) => {
    const item = list.children[index] as HTMLElement;
    const quiet = presence !== "live" && age !== null && age > 1 ? ` ${Math.round(age)} s` : "";
    const text = presence === "live" ? name : `${name} ${WORDS[presence]}${quiet}`;
    if (item.textContent !== text) item.textContent = text;
    item.dataset.node = name;
    item.dataset.presence = presence;
  });
  const safety = latest?.safety;
  if (safety && connected) {
    document.body.dataset.phase = safety.phase;
    const stopped = safety.phase === "stopped" || safety.phase === "fallback";
    $("stop").dataset.stopped = String(safety.phase === "stopped");
    if (stopped && safety.fault) $("waiting").title = safety.fault_detail;
  }
}

// --- Time

function seek(time: number) {
  shownAt = time >= history.now - 0.05 ? null : Math.max(history.begin, time);
  playing = shownAt === null;
  show();
  drawCharts();
}

function showTimeline() {
  const scrub = $<HTMLInputElement>("scrub");
  const before = shownAt === null ? 0 : shownAt - history.now;
  if (document.activeElement !== scrub || shownAt === null || playing) scrub.value = String(before);
  scrub.min = String(-Math.max(1, Math.min(SPAN, history.now - history.begin)));
  const text = shownAt === null ? "now" : `${(-before).toFixed(1)} s ago`;
  $("scrub-time").textContent = text;
  scrub.setAttribute("aria-valuetext", text);
  $("play").textContent = shownAt === null || playing ? "Hold" : "Play";
  $("live").classList.toggle("on", shownAt === null);
}

$<HTMLInputElement>("scrub").oninput = (event) => seek(history.now + Number((event.target as HTMLInputElement).value));
$("play").onclick = () => {
  playing = !(shownAt === null || playing);
  if (!playing) shownAt ??= history.now;
  show();
};
$("live").onclick = () => {
  shownAt = null;
  playing = true;
  show();
};

// --- Stop, questions, notices, keys

/** Stops the robot, and takes an open question back. */
function stop() {
  void controls.stop();
  // The browser's own Esc comes after the key's event and finds nothing open: a dialog's `cancel` never has to stop anything.
  $<HTMLDialogElement>("ask").close("cancel");
}
for (const button of stopButtons) button.onclick = stop;

let hide = 0;
function say(text: string, kind: "good" | "bad" = "good", stays = false) {
  const notice = $("notice");
  notice.textContent = text;
  notice.dataset.kind = kind;
  if (stays) notice.dataset.stays = "yes";
  else delete notice.dataset.stays;
  notice.hidden = false;
  clearTimeout(hide);
  if (!stays) hide = window.setTimeout(() => (notice.hidden = true), kind === "bad" ? 8000 : 4000);
}

function ask(title: string, text: string, go: string): Promise<boolean> {
  const dialog = $<HTMLDialogElement>("ask");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-go").textContent = go;
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "go");
  });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    // Never in the way of a stop: what is open closes, and the robot stops.
    $("popover").hidden = true;
    stop();
    return;
  }
  if ($<HTMLDialogElement>("ask").open) return;
  const target = event.target as HTMLElement;
  // There a letter chooses an entry.
  if (target.matches("select")) return;
  const types = target.matches("button, input, a");
  const keys: Record<string, () => void> = {
    g: () => controls.offers("policy/set_gate") && void controls.toggleGate(),
    l: () => $("live").click(),
    ArrowLeft: () => !types && seek((shownAt ?? history.now) - 0.5),
    ArrowRight: () => !types && shownAt !== null && seek(shownAt + 0.5),
    " ": () => !types && $("play").click(),
  };
  const action = keys[event.key];
  if (!action) return;
  if (!types) event.preventDefault();
  // A key that is held says once what it says; only steps go on.
  if (!event.repeat || event.key.startsWith("Arrow")) action();
});
