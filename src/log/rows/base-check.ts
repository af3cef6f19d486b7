/**
 * Finds damage of the base file while the log runs. A damaged base is not sent to followers, and no segment is removed: their
 * frames would have to be folded onto it.
 */
import { Fault } from "../../fault.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RaftIndex } from "../../types.ts";
import type { Damage } from "../segment/damage.ts";
import { type BasePlace, basePath, openBaseAt } from "./base-files.ts";

/** Other work runs after this time. */
const sliceMs = 3;
/** A base that was sound is checked again after this time at the earliest. */
const againMs = 600_000;

/** Where damage is registered. See DamageRegistry. */
export interface RowsDamage {
  reportBase(damage: Damage): void;
  removeBase(): void;
  reportRows(): void;
  removeRows(): void;
}

export interface BaseCheckOptions {
  readonly place: BasePlace;
  readonly clock: Clock | undefined;
  readonly damage: RowsDamage;
  /** The index of the base file of the log; 0 for none. */
  readonly current: () => RaftIndex;
}

export class BaseCheck {
  readonly #options: BaseCheckOptions;
  /** The base file that is damaged. */
  #damaged: { readonly index: RaftIndex; readonly fault: Fault } | undefined;
  #sound: { readonly index: RaftIndex; readonly atMs: number } | undefined;
  #isRunning = false;

  constructor(options: BaseCheckOptions) {
    this.#options = options;
  }

  /** Fault "corrupt" if the base file of the log is known to be damaged. */
  get fault(): Fault | undefined {
    return this.#damaged?.index === this.#options.current() ? this.#damaged.fault : undefined;
  }

  /** The base was read, and that failed. Does nothing if the reason is not damage of the base. */
  failed(index: RaftIndex, reason: unknown): void {
    if (!(reason instanceof Fault) || reason.kind !== "corrupt") return;
    const { place, current, damage } = this.#options;
    const { file, position, why } = reason.facts as Readonly<Record<string, unknown>>;
    const path = basePath(place, index);
    if (file !== path || index === 0 || index !== current() || this.fault !== undefined) return;
    this.#damaged = { index, fault: reason };
    damage.reportBase({ path, position: Number(position), why: String(why) });
  }

  /** The log has another base file. */
  replaced(): void {
    if (this.#damaged === undefined || this.fault !== undefined) return;
    this.#damaged = undefined;
    this.#options.damage.removeBase();
  }

  /** A follower begins to fetch the base: checks it meanwhile, if that was not done lately. Does not reject. */
  async begin(): Promise<void> {
    const index = this.#options.current();
    const { clock } = this.#options;
    if (index === 0 || clock === undefined || this.#isRunning || this.fault !== undefined) return;
    if (this.#sound?.index === index && clock.monotonicMs() - this.#sound.atMs < againMs) return;
    this.#isRunning = true;
    try {
      await this.#check(index, clock);
      this.#sound = { index, atMs: clock.monotonicMs() };
    } catch (reason) {
      this.failed(index, reason);
    } finally {
      this.#isRunning = false;
    }
  }

  async #check(index: RaftIndex, clock: Clock): Promise<void> {
    const base = openBaseAt(this.#options.place, index);
    try {
      let untilMs = clock.monotonicMs() + sliceMs;
      for (const _ of base.blocks()) {
        if (clock.monotonicMs() < untilMs) continue;
        await new Promise<void>((resolve) => clock.soon(resolve));
        untilMs = clock.monotonicMs() + sliceMs;
      }
    } finally {
      base.close();
    }
  }
}
