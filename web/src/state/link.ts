/** Keeps one stream to the cluster open: executes the actions that core/cursor decides, and reports events to it. */
import { signal } from "@preact/signals";
import { type Cursor, type CursorEvent, type Duty, initialCursor, step } from "../core/cursor.ts";
import type { StreamFailure } from "../core/failure.ts";
import { after, chance, nowMs } from "../io/timing.ts";

/** Opens the stream at a node and reads until it fails or `signal` ends it. Calls link.heard() for what it reads. */
export type Reading = (node: string, signal: AbortSignal) => Promise<StreamFailure | undefined>;

/** Streams are closed in a tab that was hidden for so long. */
const hiddenMsMax = 60_000;

export class Link {
  readonly cursor;
  readonly #read: Reading;
  #abort: AbortController | undefined;
  #cancelTimer = (): void => {};
  #cancelHide = (): void => {};

  constructor(node: string, read: Reading) {
    this.cursor = signal<Cursor>(initialCursor(node));
    this.#read = read;
    addEventListener("online", () => this.send({ kind: "online" }));
    document.addEventListener("visibilitychange", () => {
      this.#cancelHide();
      if (document.visibilityState === "visible") this.send({ kind: "show" });
      else this.#cancelHide = after(hiddenMsMax, () => this.send({ kind: "hide" }));
    });
  }

  /** The node in use. */
  get node(): string {
    const { nodes, node } = this.cursor.peek();
    return nodes[node] as string;
  }

  heard(): void {
    const { phase, attempt } = this.cursor.peek();
    if (phase !== "live" || attempt > 0) this.send({ kind: "message" });
  }

  send(event: CursorEvent): void {
    const [next, duties] = step(this.cursor.peek(), event);
    this.cursor.value = next;
    for (const duty of duties) this.#perform(duty);
  }

  #perform(duty: Duty): void {
    if (duty.kind === "close") {
      this.#cancelTimer();
      this.#abort?.abort();
      this.#abort = undefined;
    } else if (duty.kind === "wait") {
      this.#cancelTimer = after(duty.delayMs, () => this.send({ kind: "timer" }));
    } else {
      void this.#open(duty.node);
    }
  }

  async #open(node: string): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    const failure = await this.#read(node, abort.signal);
    if (abort.signal.aborted || failure === undefined) return;
    this.send({ kind: "failed", failure, nowMs: nowMs(), chance: chance() });
  }
}
