/** The wall clocks of processes that a test starts, each moved by itself. See moved-clock.mjs. */
import { renameSync, writeFileSync } from "node:fs";
import { environment } from "./process.ts";

const preload = new URL("moved-clock.mjs", import.meta.url).href;

export class MovedClock {
  readonly #file: string;
  #byMs = 0;

  /** `file` is made when the clock is first moved. */
  constructor(file: string) {
    this.#file = file;
  }

  /** For the process whose clock this is to be. */
  get environment(): Record<string, string> {
    const options = environment()["NODE_OPTIONS"];
    return {
      NODE_OPTIONS: `${options === undefined ? "" : `${options} `}--import=${preload}`,
      MOVED_CLOCK: this.#file,
    };
  }

  get byMs(): number {
    return this.#byMs;
  }

  /** The clock shows the true time and this, within about 20 ms from now. */
  set(byMs: number): void {
    this.#byMs = byMs;
    writeFileSync(`${this.#file}.new`, String(byMs));
    renameSync(`${this.#file}.new`, this.#file);
  }
}
