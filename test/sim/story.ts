/**
 * What happened, for people and for comparison: a hash over every event, counts of what was visited, and the last
 * few hundred lines.
 *
 * Never: keeps more than it shows.
 */
import type { VirtualTime } from "../support/virtual-clock.ts";

const linesMax = 400;

export class Story {
  readonly marks = new Map<string, number>();
  /** Nothing is kept unless someone is to read it. */
  told = false;
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

  /** A line that only matters to a reader. */
  tell(line: () => string): void {
    if (this.told) this.#keep(line());
  }

  /** Something from outside the nodes. */
  happen(line: string): void {
    this.hash(line);
    if (this.told) this.#keep(line);
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
