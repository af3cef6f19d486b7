/** Moves the wall clock of a process that a test starts. See moved-clock.mjs. */
import { renameSync, writeFileSync } from "node:fs";
import { environment } from "./process.ts";

const preload = new URL("moved-clock.mjs", import.meta.url).href;

export class MovedClock {
  readonly #file: string;
  #byMs = 0;

  /** `file` is created when the clock is first moved. */
  constructor(file: string) {
    this.#file = file;
  }

  /** Environment variables for the process. */
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

  /** Sets the clock to the true time plus `byMs`. The process sees it within about 20 ms. */
  set(byMs: number): void {
    this.#byMs = byMs;
    writeFileSync(`${this.#file}.new`, String(byMs));
    renameSync(`${this.#file}.new`, this.#file);
  }
}
