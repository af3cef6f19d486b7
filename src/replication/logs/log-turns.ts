/**
 * The commands about named logs that are under way on the leader, and the appends and changes that wait for them. A command is a
 * barrier for its log: what arrives later waits in line until it is applied. Other logs go on.
 *
 * What waits keeps the deadline of its caller. Then it fails as not written, and those behind it keep their order.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { QueuedGroup } from "../../log/mod.ts";

export class LogTurns {
  readonly #clock: Clock;
  /** The commands that were accepted and are not applied yet, by the name of their log. */
  readonly #commands = new Map<string, QueuedGroup>();
  /** The last append or change that waits for commands about a log, by its name. Resolves once its turn is over. */
  readonly #waiting = new Map<string, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True while a request about this log waits: for a command, or behind an append or a change that does. */
  isBusy(name: string): boolean {
    return this.#commands.has(name) || this.#waiting.has(name);
  }

  /** A command about this log was queued. */
  began(name: string, group: QueuedGroup): void {
    this.#commands.set(name, group);
    group.barriers.push(() => {
      if (this.#commands.get(name) === group) this.#commands.delete(name);
    });
  }

  /**
   * Calls `work` when no command about the log is under way, and after what waits already. `work` takes its place in the log
   * before its first await: the next in line does not wait until it has ended. `given` is called when it will not be called
   * any more.
   * @throws what `work` throws; Fault "deadline" (not written) if its turn does not come before `deadlineMs`
   */
  inTurn<T>(
    name: string,
    deadlineMs: number | undefined,
    work: () => Promise<T>,
    given: () => void = () => undefined,
  ): Promise<T> {
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const before = this.#waiting.get(name);
    this.#waiting.set(name, over);
    return new Promise<T>((resolve, reject) => {
      let waiting: (() => Promise<T>) | undefined = work;
      const late = (): void => {
        waiting = undefined;
        given();
        reject(new Fault("deadline", { message: `a command about log "${name}" was not applied in time` }));
      };
      const leftMs =
        deadlineMs === undefined ? undefined : Math.max(0, deadlineMs - this.#clock.monotonicMs());
      const timer = leftMs === undefined ? undefined : this.#clock.after(leftMs, late);
      const begin = (): void => {
        timer?.cancel();
        const due = waiting;
        try {
          if (due === undefined) return;
          given();
          due().then(resolve, reject);
        } catch (reason) {
          reject(reason as Error);
        } finally {
          if (this.#waiting.get(name) === over) this.#waiting.delete(name);
          end();
        }
      };
      this.#turn(name, before).then(begin, reject);
    });
  }

  async #turn(name: string, before: Promise<void> | undefined): Promise<void> {
    await before;
    // Asked again after each wait: another command may have begun in the meantime.
    for (let group = this.#commands.get(name); group !== undefined; group = this.#commands.get(name)) {
      const { barriers } = group;
      await new Promise<void>((resolve) => barriers.push(() => resolve()));
    }
  }
}
