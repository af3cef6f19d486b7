/** What the clients of a run know of the named logs, so that they state current ids, old ones, or none. */
import type { Prng } from "../../../src/lib/prng.ts";

/** Logs that are created once and stay. */
const kept = Array.from({ length: 8 }, (_, n) => `kept/${n}`);
/** Logs that are created once and keep so many bytes. */
const retained = Array.from({ length: 4 }, (_, n) => `retained/${n}`);
export const retainedBytes = 32 * 1024;
export const isRetained = (name: string): boolean => retained.includes(name);
/** Logs that are mostly forks of other logs. */
const forks = Array.from({ length: 8 }, (_, n) => `fork/${n}`);
/** Logs that are deleted, closed and created again. */
const changing = [...Array.from({ length: 32 }, (_, n) => `changing/${n}`), ...forks];

export interface MeantLog {
  readonly log: string;
  readonly statedId?: string;
}

export class KnownLogs {
  /** Name → ids, the newest last. */
  readonly #ids = new Map<string, string[]>();

  get names(): readonly string[] {
    return [...kept, ...retained, ...changing];
  }

  /** No client deletes or closes it, nor changes its settings. */
  isKept(name: string): boolean {
    return kept.includes(name) || isRetained(name);
  }

  /** A random log that keeps only its newest records. */
  pickRetained(chance: Prng): MeantLog {
    return { log: chance.pick(retained) };
  }

  /** A random name for a fork. */
  pickFork(chance: Prng): string {
    return chance.pick(forks);
  }

  /** A random log that can be forked for long: a fork keeps all records of its source, also those that retention would remove. */
  pickSource(chance: Prng): string {
    return chance.pick([...kept, ...changing]);
  }

  /** A client got this id of the log. Ids are compared by their number. */
  learn(name: string, id: string): void {
    const ids = this.#ids.get(name) ?? [];
    this.#ids.set(name, ids);
    if (ids.includes(id)) return;
    ids.push(id);
    ids.sort((one, other) => numberOf(one) - numberOf(other));
    // Three generations are enough to ask for old ones.
    if (ids.length > 3) ids.shift();
  }

  newest(name: string): string | undefined {
    return this.#ids.get(name)?.at(-1);
  }

  /** A random log: mostly with its newest id, sometimes with an older one or by its name alone. */
  pick(chance: Prng): MeantLog {
    const log = chance.pick(chance.chance(0.4) ? [...kept, ...retained] : changing);
    const ids = this.#ids.get(log) ?? [];
    const draw = chance.float();
    const statedId = draw < 0.2 ? undefined : ids.at(draw < 0.3 ? -2 : -1);
    return statedId === undefined ? { log } : { log, statedId };
  }
}

/** The number of a log in its cluster. */
export const numberOf = (id: string): number => Number(id.slice(id.indexOf("-") + 1));
