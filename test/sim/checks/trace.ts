/**
 * The trace of a run: a hash over every event, counts of the coverage marks, and the last few hundred lines as text.
 */
import type { VirtualTime } from "../../support/time/virtual-clock.ts";

const linesMax = 400;

export class Trace {
  readonly marks = new Map<string, number>();
  /** Lines are kept only while this is set. */
  isRecording = false;
  readonly #time: VirtualTime;
  readonly #lines: string[] = [];
  #high = 0x811c9dc5;
  #low = 0x01000193;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1);
  }

  /** Adds a line that is not part of the hash. */
  note(line: () => string): void {
    if (this.isRecording) this.#keep(line());
  }

  /** Adds an event from outside the servers. Its text is part of the hash, so a new wording changes the hashes of seeds. */
  event(line: string): void {
    this.hash(line);
    if (this.isRecording) this.#keep(line);
  }

  hash(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      this.#high = Math.imul(this.#high ^ unit, 0x01000193);
      this.#low = Math.imul(this.#low + unit, 0x85ebca6b) ^ (this.#low >>> 15);
    }
    const now = Math.round(this.#time.now * 1000);
    this.#high = Math.imul(this.#high ^ now, 0xc2b2ae35);
  }

  get digest(): string {
    return [this.#high, this.#low].map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
  }

  lines(): readonly string[] {
    return this.#lines;
  }

  #keep(line: string): void {
    this.#lines.push(`${this.#time.now.toFixed(1).padStart(9)}  ${line}`);
    if (this.#lines.length > 2 * linesMax) this.#lines.splice(0, linesMax);
  }
}
