import type { Connection } from "./connection";
import type { Names, Service, State } from "./protocol";
import type { Picked } from "./stage";

type Request = Record<string, unknown>;

export interface Shell {
  connection: () => Connection;
  say(text: string, kind?: "good" | "bad"): void;
  /** Asks before something that could hurt a real robot; resolves with the answer. */
  ask(title: string, text: string, go: string): Promise<boolean>;
}

/** A button that calls one service. */
interface Action {
  label: string;
  service: string;
  request: () => Request | null;
  title: Title;
  /** What is asked first on a robot that is not simulated. */
  danger?: string;
}

/** What a control does; a function where that may change. */
type Title = string | (() => string);

/** What `gate_reason` names where the command decides, and not a source of the policy. */
const COMMANDS = ["parameter", "topic", "service"];
/** A status heard this long after an answer may still have been made before it [ms]. */
const ON_THE_WAY = 1000;

/** The nodes' services as buttons. One that nobody offers is shown as absent. */
export class Controls {
  private services = new Map<string, Service>();
  private state: State | null = null;
  private names: Names = { type: "names", joints: [], feet: [], motors: null };
  private picked: Picked | null = null;
  private paused = false;
  /** What the simulator answered last, and until when statuses are older than that, by the page's clock [ms]. */
  private answered = { paused: false, until: -Infinity };
  /** What the gate was set to here last, in which control step, and until when states are older than that, by the page's clock [ms]. */
  private gateSet = { open: true, step: -1, until: -Infinity };
  private weightsFile = "";
  private damages: { kind: string; joint: string }[] = [];
  private dragging = false;
  private readonly gate: HTMLInputElement;
  private readonly gateValue: HTMLOutputElement;
  private readonly gateReason: HTMLElement;
  private readonly shut: HTMLButtonElement;
  private readonly release: HTMLButtonElement;
  private readonly simulation: HTMLElement;
  private readonly pauseButton: HTMLButtonElement;
  private readonly groundSelect: HTMLSelectElement;
  private readonly jointSelect: HTMLSelectElement;
  private readonly bound: { element: HTMLButtonElement | HTMLInputElement | HTMLSelectElement; service: string; title: Title }[] = [];

  constructor(
    container: HTMLElement,
    private readonly popover: HTMLElement,
    private readonly shell: Shell,
  ) {
    this.gate = input("range", "gate", { min: "0", max: "1", step: "0.05", value: "1" });
    this.gateValue = document.createElement("output");
    this.gateReason = element("p", "detail");
    this.gateReason.id = "gate-reason";
    this.gate.setAttribute("aria-label", "Plasticity gate");
    this.gate.oninput = () => {
      this.dragging = true;
      this.gateValue.textContent = Number(this.gate.value).toFixed(2);
    };
    this.gate.onchange = () => {
      void this.setGate(Number(this.gate.value)).finally(() => (this.dragging = false));
    };
    this.shut = button("Shut the gate", () => void this.toggleGate());
    this.shut.id = "gate-shut";
    this.shut.setAttribute("aria-keyshortcuts", "g");
    this.bind(this.gate, "policy/set_gate", "0: weights frozen, 1: fully plastic");
    this.bind(this.shut, "policy/set_gate", "Shut the gate: weights stay as they are (g)");

    const plasticity = group("Plasticity");
    const gateRow = element("div", "row gate");
    gateRow.append(this.gate, this.gateValue, this.shut);
    const weights = element("div", "row");
    this.release = button("Release the stop", () => void this.releaseStop());
    this.release.id = "release";
    this.release.hidden = true;
    this.bind(this.release, "policy/release", "Ends the stop: the robot moves to its nominal pose and walks again");
    weights.append(
      this.release,
      this.action({
        label: "New weights",
        service: "policy/reset_weights",
        request: () => ({ seed: Math.floor(Math.random() * 1e9) }),
        title: "Starts the network's life anew, from other random weights",
        danger: "The network starts from random weights and has to find its gait again. The robot may stumble.",
      }),
      this.action({
        label: "Back 5 s",
        service: "policy/roll_back",
        request: () => ({ seconds: 5 }),
        title: "Puts back the weights of five seconds ago",
        danger: "The weights of five seconds ago take effect at once. The robot may jerk.",
      }),
      this.action({ label: "Save", service: "policy/save_weights", request: () => ({ path: this.weightsFile }), title: () => `Writes the weights to ${this.weightsFile} on the robot's computer` }),
      this.action({
        label: "Restore",
        service: "policy/restore_weights",
        request: () => ({ path: this.weightsFile }),
        title: () => `Puts back the weights that were saved in ${this.weightsFile}`,
        danger: "The saved weights take effect at once. The robot may jerk.",
      }),
    );
    plasticity.append(gateRow, this.gateReason, weights);

    this.simulation = group("Simulation");
    this.simulation.id = "simulation";
    this.pauseButton = button("Pause", () => void this.togglePause());
    this.pauseButton.id = "simulator-pause";
    this.bind(this.pauseButton, "simulator/pause", "Simulated time stands still");
    const time = element("div", "row");
    time.append(
      this.action({ label: "Restart", service: "simulator/reset", request: () => ({ keep_seed: true }), title: "Puts the robot back to the start of the episode" }),
      this.pauseButton,
      this.action({ label: "Step", service: "simulator/step", request: () => ({ steps: 1 }), title: "One control step of a paused simulation" }),
    );
    this.groundSelect = document.createElement("select");
    this.groundSelect.id = "ground";
    this.groundSelect.onchange = () => void this.setGround();
    this.bind(this.groundSelect, "simulator/set_terrain", "The ground from now on");
    GROUNDS.forEach(([label], index) => this.groundSelect.add(new Option(label, String(index))));
    this.jointSelect = document.createElement("select");
    this.jointSelect.id = "joint";
    this.jointSelect.onchange = () => {
      if (this.jointSelect.value) this.open({ link: "", joint: this.jointSelect.value, isBase: false, x: 24, y: 96 });
      this.jointSelect.value = "";
    };
    const world = element("div", "row");
    world.append(labelled("Ground", this.groundSelect), labelled("Joint", this.jointSelect));
    const hint = element("p", "detail");
    hint.textContent = `Click a joint in the picture to see it, or to damage it where it has a motor, the body to push it. ${DAMAGE_NOTE}`;
    this.simulation.append(time, world, hint);

    const none = element("p", "detail");
    none.id = "no-simulator";
    none.textContent = "No simulator: this robot is not simulated here.";
    container.append(plasticity, this.simulation, none);
    this.refresh();
  }

  setServices(services: Service[], weightsFile: string) {
    this.weightsFile = weightsFile;
    this.services = new Map(services.map((service) => [service.name, service]));
    this.refresh();
  }

  setNames(names: Names) {
    this.names = names;
    this.jointSelect.replaceChildren(new Option("choose …", ""), ...this.motors.map((name) => new Option(name, name)));
  }

  /** The joints that can be damaged. */
  private get motors(): string[] {
    return this.names.motors ?? this.names.joints;
  }

  offers(name: string): boolean {
    return this.services.get(name)?.offered ?? false;
  }

  /** Whether the robot is simulated now. In doubt it is not: better asked once too often than not asked. */
  get simulated(): boolean {
    if (!this.state) return false;
    const { simulator, robot } = this.state.nodes;
    // A silent simulator moves nothing: joints heard beside it are another robot's, as when it was killed and its services linger.
    return simulator.presence === "live" || (simulator.presence === "silent" && robot.presence !== "live");
  }

  show(state: State) {
    this.state = state;
    const plasticity = state.plasticity;
    const { presence, age } = state.nodes.simulator;
    const heard = performance.now() - 1000 * (age ?? Infinity);
    this.showPaused(state.simulation && heard > this.answered.until ? state.simulation.paused : this.answered.paused);
    this.describePart();
    this.release.hidden = state.safety?.phase !== "stopped";
    // A simulator that is lost may come back: its controls stay, drawn as absent.
    this.simulation.hidden = presence === "absent";
    document.getElementById("no-simulator")!.hidden = presence !== "absent";
    if (!plasticity) return;
    if (!this.dragging && document.activeElement !== this.gate) this.gate.value = String(plasticity.gate);
    if (!this.dragging) this.gateValue.textContent = plasticity.gate.toFixed(2);
    this.labelGate();
    this.gateReason.textContent = plasticity.gate_reason === "open" ? "Weights change at every step." : plasticity.gate_detail;
  }

  async toggleGate() {
    await this.setGate(this.gateOpen ? 0 : 1);
  }

  /** Whether a layer's gate is commanded open, whatever the policy's own sources shut: opening it would change nothing, shutting it lasts. */
  private get gateOpen(): boolean {
    const plasticity = this.state?.plasticity;
    if (!plasticity || plasticity.step === this.gateSet.step || performance.now() < this.gateSet.until) return this.gateSet.open;
    // The command is named before a source that allows as little: with a source named it is open.
    return !COMMANDS.includes(plasticity.gate_reason) || Math.max(plasticity.gate, ...plasticity.layer_gates) > 0;
  }

  private labelGate() {
    this.shut.textContent = this.gateOpen ? "Shut the gate" : "Open the gate";
  }

  async stop() {
    if (!this.offers("policy/emergency_stop")) {
      this.shell.say("No policy node offers ~/emergency_stop: stop the robot by its own switch.", "bad");
      return;
    }
    // Never asked first, and nothing is awaited before it is sent.
    await this.call("policy/emergency_stop", {}, "Stop");
  }

  private async releaseStop() {
    const text = "The robot moves to its nominal pose and walks again.";
    if (!this.simulated && !(await this.shell.ask("Release the stop?", text, "Release"))) return;
    await this.call("policy/release", {}, "Released");
  }

  /** Shows what is known of a part, and what can be done to it. */
  open(picked: Picked | null) {
    const popover = this.popover;
    popover.hidden = picked === null;
    if (!picked) return;
    const title = element("h3");
    title.textContent = picked.joint ?? picked.link;
    const detail = element("p", "detail");
    detail.id = "part-detail";
    this.picked = picked;
    const actions = element("div", "row");
    if (picked.joint && this.motors.includes(picked.joint) && this.offers("simulator/set_damage")) {
      for (const [kind, label] of DAMAGES) {
        const damage = button(label, () => void this.damage(kind, picked.joint!));
        damage.title = DAMAGE_NOTE;
        actions.append(damage);
      }
    }
    if (picked.isBase && this.offers("simulator/push")) {
      for (const [label, direction] of PUSHES) actions.append(button(label, () => void this.push(direction)));
    }
    const close = button("Close", () => (popover.hidden = true));
    close.className = "quiet";
    actions.append(close);
    popover.replaceChildren(title, detail, actions);
    this.describePart();
    const parent = popover.parentElement!;
    popover.style.left = `${Math.max(8, Math.min(picked.x, parent.clientWidth - 232))}px`;
    popover.style.top = `${Math.max(8, Math.min(picked.y, parent.clientHeight - 200))}px`;
    (popover.querySelector("button") as HTMLButtonElement | null)?.focus();
  }

  private describePart() {
    const detail = document.getElementById("part-detail");
    if (!detail || this.popover.hidden || !this.picked) return;
    const angle = this.state?.joints[this.names.joints.indexOf(this.picked.joint ?? "")];
    const damage = this.damages.find(({ joint }) => joint === this.picked?.joint);
    const words = [typeof angle === "number" ? `${((angle * 180) / Math.PI).toFixed(1)}°` : this.picked.isBase ? "the robot's body" : ""];
    if (damage) words.push(damage.kind.replaceAll("_", " "));
    const isPassive = this.picked.joint !== null && !this.motors.includes(this.picked.joint);
    if (isPassive && this.offers("simulator/set_damage")) words.push("no motor: cannot be damaged");
    detail.textContent = words.join(" · ");
  }

  private async setGate(gate: number) {
    if (await this.call("policy/set_gate", { gate }, gate === 0 ? "Gate shut" : `Gate ${gate.toFixed(2)}`)) {
      this.gateSet = { open: gate > 0, step: this.state?.plasticity?.step ?? -1, until: performance.now() + ON_THE_WAY };
      this.labelGate();
    }
  }

  private async togglePause() {
    const paused = !this.paused;
    if (await this.call("simulator/pause", { data: paused }, paused ? "Paused" : "Going on")) {
      this.answered = { paused, until: performance.now() + ON_THE_WAY };
      this.showPaused(paused);
    }
  }

  private showPaused(paused: boolean) {
    this.paused = paused;
    this.pauseButton.textContent = paused ? "Go on" : "Pause";
  }

  private async setGround() {
    const [label, terrain] = GROUNDS[Number(this.groundSelect.value)]!;
    await this.call("simulator/set_terrain", { terrain }, `Ground: ${label}`);
  }

  private async damage(kind: string, joint: string) {
    // The service replaces all damage at once. JSON is YAML.
    const kept = kind === "" ? [] : this.damages.filter((damage) => damage.joint !== joint);
    const damages = kind === "" ? [] : [...kept, { kind, joint }];
    const written = damages.length > 0 ? JSON.stringify(damages.map(({ kind, joint }) => ({ [kind]: { joint } }))) : "";
    const done = kind === "" ? "All repaired" : `${joint}: ${DAMAGES.find(([name]) => name === kind)![1].toLowerCase()}`;
    if (await this.call("simulator/set_damage", { damage: written }, done)) this.damages = damages;
  }

  private async push(direction: [number, number, number]) {
    await this.call("simulator/push", { force: direction.map((share) => PUSH_FORCE * share), duration: PUSH_DURATION }, "Pushed");
  }

  private async call(service: string, request: Request, done: string): Promise<boolean> {
    try {
      const response = await this.shell.connection().call(service, request);
      const good = response.success !== false;
      this.shell.say(good ? `${done}${response.message ? `: ${String(response.message)}` : ""}` : `Refused: ${String(response.message)}`, good ? "good" : "bad");
      return good;
    } catch (error) {
      this.shell.say(`${service}: ${(error as Error).message}`, "bad");
      return false;
    }
  }

  private action({ label, service, request, title, danger }: Action): HTMLButtonElement {
    const made = button(label, async () => {
      const fields = request();
      if (!fields) return;
      if (danger && !this.simulated && !(await this.shell.ask(`${label}?`, danger, label))) return;
      await this.call(service, fields, label);
    });
    made.id = service.replace("/", "-").replaceAll("_", "-");
    this.bind(made, service, title);
    return made;
  }

  private bind(element: HTMLButtonElement | HTMLInputElement | HTMLSelectElement, service: string, title: Title) {
    this.bound.push({ element, service, title });
  }

  private refresh() {
    for (const { element, service, title } of this.bound) {
      const offered = this.offers(service);
      element.disabled = !offered;
      element.classList.toggle("absent", !offered);
      const what = typeof title === "string" ? title : title();
      element.title = offered ? what : `absent: no node offers ${service}`;
    }
  }
}

/** Names of grounds, and how SetTerrain.srv writes them. */
const GROUNDS: [string, string][] = [
  ["flat", ""],
  ["uneven, 2 cm", "{relief: {uneven: {height: 0.02, step: 0.005}}}"],
  ["uneven, 4 cm", "{relief: {uneven: {height: 0.04, step: 0.005}}}"],
  ["steps of 2 cm", "{relief: {steps: {height: 0.02}}}"],
  ["slippery", "{friction: 0.3}"],
  ["soft", "{soft: {frequency: 8}}"],
];
/** Kinds of damage to a joint, as SetDamage.srv names them; empty: none any more, anywhere. */
const DAMAGES: [string, string][] = [
  ["limp_joint", "Limp"],
  ["stuck_joint", "Stuck"],
  ["lost_leg", "Cut off"],
  ["", "Repair all"],
];
/** `damage` knows only what this page set. */
const DAMAGE_NOTE = "Damage from here replaces, and so repairs, all that was set elsewhere.";
const PUSHES: [string, [number, number, number]][] = [
  ["← left", [0, 1, 0]],
  ["right →", [0, -1, 0]],
  ["↑ forward", [1, 0, 0]],
  ["↓ back", [-1, 0, 0]],
];
/** A hearty shove of a robot of some kilograms: 20 N for 0.1 s, along the world's axes. */
const PUSH_FORCE = 20;
const PUSH_DURATION = 0.1;

function element(tag: string, className = ""): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

function button(label: string, action: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.onclick = action;
  return made;
}

function input(type: string, id: string, attributes: Record<string, string>): HTMLInputElement {
  const made = document.createElement("input");
  made.type = type;
  made.id = id;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function labelled(text: string, control: HTMLElement): HTMLLabelElement {
  const label = document.createElement("label");
  label.append(text, " ", control);
  return label;
}

function group(title: string): HTMLElement {
  const made = element("div", "group");
  const heading = element("h2");
  heading.textContent = title;
  made.append(heading);
  return made;
}
