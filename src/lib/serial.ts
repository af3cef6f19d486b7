/**
 * A serial turn: work that gathers whatever waits, never runs twice at once, and runs again when more has come
 * meanwhile. The heart of group commit. Between two runs the event loop goes round: what was answered is sent, and
 * what has arrived is gathered, however busy it is.
 *
 * Never: swallows what the work throws (it goes to `failed`, and the turn stops for good).
 */
import type { Clock } from "./time/clock.ts";

export class SerialTurn {
  readonly #clock: Clock;
  readonly #work: () => Promise<void>;
  readonly #failed: (reason: unknown) => void;
  #wanted = false;
  #running = false;
  #stopped = false;
  #idle: (() => void)[] = [];

  /** `work` does all there is to do at once; what comes while it runs is done in another run after it. */
  constructor(clock: Clock, work: () => Promise<void>, failed: (reason: unknown) => void) {
    this.#clock = clock;
    this.#work = work;
    this.#failed = failed;
  }

  /** There is something to do. The work begins after what is already waiting in the event loop: that is gathered. */
  request(): void {
    this.#wanted = true;
    if (this.#running || this.#stopped) return;
    this.#running = true;
    this.#clock.soon(() => void this.#run());
  }

  /** Resolves once nothing runs and nothing is wanted. */
  async idle(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #run(): Promise<void> {
    this.#wanted = false;
    try {
      await this.#work();
    } catch (reason) {
      this.#stopped = true;
      this.#failed(reason);
    }
    if (this.#wanted && !this.#stopped) {
      this.#clock.soon(() => void this.#run());
      return;
    }
    this.#running = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
