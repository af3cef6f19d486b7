/**
 * The commands about named logs that are under way on the leader, and the appends and changes that wait for them. A command is a
 * barrier for its log: what arrives later waits in line until it is applied. Other logs go on.
 *
 * What waits keeps the deadline of its caller. Then it fails as not written, and those behind it keep their order. Appends
 * that wait use the room of the queue. Changes have a room of their own, of which one log gets half of what others leave.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { FairShares, type QueuedGroup } from "../../log/mod.ts";

/** Changes that wait, of all logs. */
const changesMax = 4_096;
/** How often a request waits for the turn of two logs. */
const triesMax = 100;

export class LogTurns {
  readonly #clock: Clock;
  /** The commands that were accepted and are not applied yet, by the name of their log. */
  readonly #commands = new Map<string, QueuedGroup>();
  /** The last append or change that waits for commands about a log, by its name. Resolves once its turn is over. */
  readonly #waiting = new Map<string, Promise<void>>();
  /** Changes that wait, by log. They are counted, and use no bytes. */
  readonly #changes = new FairShares({ bytesMax: 0, countMax: changesMax, bySubject: false });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True while a request about this log waits: for a command, or behind an append or a change that does. */
  isBusy(name: string): boolean {
    if (this.#commands.size === 0 && this.#waiting.size === 0) return false;
    return this.#commands.has(name) || this.#waiting.has(name);
  }

  /**
   * Takes room for a change that waits for its turn. Returns the function that releases it.
   * @throws Fault "overloaded" (not written) while too many changes of this log wait
   */
  reserve(name: string): () => void {
    const owner = { log: name, subject: undefined };
    if (!this.#changes.hasRoom(owner, 0)) {
      const { count: found } = this.#changes.usedBy(owner);
      throw new Fault("overloaded", {
        message: `${found} changes of log "${name}" wait for their turn, and no more can wait. Try again later`,
      });
    }
    const share = this.#changes.take(owner, 0);
    return () => this.#changes.release(share, 0, 1);
  }

  /**
   * Waits for a change that others wait for too, and which goes on after the deadline.
   * @throws as `work`; Fault "deadline" (not written) with the message
   */
  async before<T>(deadlineMs: number | undefined, work: Promise<T>, message: string): Promise<T> {
    if (deadlineMs === undefined) return work;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const leftMs = Math.max(0, deadlineMs - this.#clock.monotonicMs());
    const timer = this.#clock.after(leftMs, () => reject(new Fault("deadline", { message })));
    try {
      return await Promise.race([work, late]);
    } finally {
      timer.cancel();
    }
  }

  /**
   * Calls `decide` when it is the turn of the log. It begins its command before its first await.
   * @throws as inTurn() and reserve()
   */
  alone<T>(name: string, deadlineMs: number | undefined, decide: () => Promise<T>): Promise<T> {
    if (!this.isBusy(name)) return decide();
    return this.inTurn(name, deadlineMs, decide, this.reserve(name));
  }

  /** Does the same when it is the turn of both logs. @throws also Fault "overloaded" if that does not happen soon */
  async aloneWithBoth<T>(
    one: string,
    other: string,
    deadlineMs: number | undefined,
    decide: () => Promise<T>,
  ): Promise<T> {
    for (let tries = 0; tries < triesMax; tries++) {
      const done = await this.alone(one, deadlineMs, async () =>
        one !== other && this.isBusy(other) ? undefined : { result: await decide() },
      );
      if (done !== undefined) return done.result;
      await this.alone(other, deadlineMs, () => Promise.resolve());
    }
    throw new Fault("overloaded", {
      message: `too many changes of the logs "${one}" and "${other}" are under way. Try again later`,
    });
  }

  /** A command about this log was queued. It is a barrier for another log, too, if one is given. */
  began(name: string, group: QueuedGroup, barrier = name): void {
    this.#commands.set(name, group);
    this.#commands.set(barrier, group);
    group.onSettled(() => {
      for (const one of [name, barrier]) if (this.#commands.get(one) === group) this.#commands.delete(one);
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
    // The functions below refer to this object alone: what is late stays in line, and its work, which has records, does not.
    const waiting: { work: (() => Promise<T>) | undefined; given: () => void } = { work, given };
    return new Promise<T>((resolve, reject) => {
      const take = (): (() => Promise<T>) | undefined => {
        const { work: due, given: release } = waiting;
        waiting.work = undefined;
        waiting.given = () => undefined;
        release();
        return due;
      };
      const late = (): void => {
        take();
        reject(new Fault("deadline", { message: `a command about log "${name}" was not applied in time` }));
      };
      const leftMs =
        deadlineMs === undefined ? undefined : Math.max(0, deadlineMs - this.#clock.monotonicMs());
      const timer = leftMs === undefined ? undefined : this.#clock.after(leftMs, late);
      const begin = (): void => {
        timer?.cancel();
        try {
          take()?.().then(resolve, reject);
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
      const command = group;
      await new Promise<void>((resolve) => command.onSettled(() => resolve()));
    }
  }
}
