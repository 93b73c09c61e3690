import { type Binary, readBinary, type Text } from "./protocol";

/** Without a frame for this long the viewer's node counts as lost, even if the connection seems to stand [ms]. */
const SILENCE = 4000;
const SHORTEST_PAUSE = 250;
const LONGEST_PAUSE = 5000;
/** The code by which the viewer's node closes a connection for which it has no room. */
const NO_ROOM = 1013;

export interface Handlers {
  text(message: Exclude<Text, { type: "answer" }>): void;
  binary(message: Binary): void;
  /** The connection to the viewer's node: up, or why it is not, as a sentence. */
  connected(up: boolean, reason: string): void;
}

type Answer = Record<string, unknown>;

/** The WebSocket to the viewer's node: comes back by itself, and carries service calls. */
export class Connection {
  private socket: WebSocket | null = null;
  private pause = SHORTEST_PAUSE;
  private watchdog = 0;
  private nextId = 1;
  private readonly waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();

  constructor(private readonly handlers: Handlers) {
    this.open();
  }

  /** Calls a service of a node; resolves with its response's fields. */
  call(service: string, request: Record<string, unknown>): Promise<Answer> {
    const socket = this.socket;
    if (socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error("the viewer's node is not connected"));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ type: "call", id, service, request }));
    });
  }

  private open() {
    const socket = new WebSocket(new URL("ws", location.href.replace(/^http/, "ws")));
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    let opened = false;
    let heard = false;
    socket.onopen = () => {
      opened = true;
      this.feed(socket);
    };
    socket.onmessage = (event) => {
      this.feed(socket);
      // Not when it opens: a page for which there is no room is let in to hear so.
      if (!heard) {
        heard = true;
        this.pause = SHORTEST_PAUSE;
        this.handlers.connected(true, "");
      }
      if (typeof event.data === "string") this.read(JSON.parse(event.data) as Text);
      else {
        const message = readBinary(event.data as ArrayBuffer);
        if (message) this.handlers.binary(message);
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (code === NO_ROOM) this.closed(socket, `The viewer's node has no room for this page: ${reason}`);
      else if (opened) this.closed(socket, lost(reason));
      // Browsers tell a page no more than that.
      else this.closed(socket, "The viewer's node is not there, or refuses this page (with a new token: open the address that it prints)");
    };
  }

  private read(message: Text) {
    if (message.type !== "answer") {
      this.handlers.text(message);
      return;
    }
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.response) waiting?.resolve(message.response);
    else waiting?.reject(new Error(message.error ?? "no response"));
  }

  private feed(socket: WebSocket) {
    clearTimeout(this.watchdog);
    this.watchdog = window.setTimeout(() => {
      // A cable that was pulled closes nothing.
      socket.close();
      this.closed(socket, lost("no word from it"));
    }, SILENCE);
  }

  private closed(socket: WebSocket, reason: string) {
    if (this.socket !== socket) return;
    this.socket = null;
    clearTimeout(this.watchdog);
    for (const { reject } of this.waiting.values()) reject(new Error("the viewer's node was lost before it answered"));
    this.waiting.clear();
    this.handlers.connected(false, reason);
    window.setTimeout(() => this.open(), this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
  }
}

function lost(reason: string): string {
  return `The viewer's node is lost${reason ? ` (${reason})` : ""}`;
}
