/**
 * Runs changes of tokens one after another: those of administrators before those about sessions, which need no right and are limited
 * in number. So users who log out do not delay a revocation. Pure.
 */
import { Fault } from "../../fault.ts";

/** Changes about sessions that wait at the same time. */
export const sessionChangesMax = 64;

/** The refusal of one more change about a session. */
export const tooManySessionChanges = (): Fault =>
  new Fault("overloaded", {
    message: `${sessionChangesMax} changes of sessions are waiting, try again`,
    written: "no",
    facts: { limit: sessionChangesMax },
  });

export class ChangeQueue {
  readonly #ofAdministrators: (() => Promise<void>)[] = [];
  readonly #ofSessions: (() => Promise<void>)[] = [];
  #isRunning = false;

  /** Resolves when `work` has ended, in its turn. @throws what `work` throws; Fault "overloaded" */
  async run(isOfSession: boolean, work: () => Promise<void>): Promise<void> {
    const waiting = isOfSession ? this.#ofSessions : this.#ofAdministrators;
    if (isOfSession && waiting.length >= sessionChangesMax) throw tooManySessionChanges();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.push(() => work().then(resolve, reject));
    void this.#runAll();
    return promise;
  }

  async #runAll(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (;;) {
      const next = this.#ofAdministrators.shift() ?? this.#ofSessions.shift();
      if (next === undefined) break;
      await next();
    }
    this.#isRunning = false;
  }
}
