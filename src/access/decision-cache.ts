/**
 * A bounded cache of decisions: two levels of maps and a byte per action, so that a hit builds no key and allocates
 * nothing. A full cache is cleared: then each pair costs one search of the rules again, some microseconds.
 */
import { type Action, actions } from "./identity.ts";

const unknown = 0;
const no = 1;
const yes = 2;

const columnOf = Object.fromEntries(actions.map((action, column) => [action, column])) as Readonly<
  Record<Action, number>
>;

export class DecisionCache {
  readonly #entriesMax: number;
  readonly #bySubject = new Map<string, Map<string, Uint8Array>>();
  /** Invariant: the number of cached (subject, object) pairs, at most #entriesMax. */
  #entries = 0;

  /** Caches at most `entriesMax` pairs of subject and object, default 16,384. */
  constructor(entriesMax = 16_384) {
    this.#entriesMax = entriesMax;
  }

  get(subject: string, object: string, action: Action): boolean | undefined {
    const decision = this.#bySubject.get(subject)?.get(object)?.[columnOf[action]] ?? unknown;
    return decision === unknown ? undefined : decision === yes;
  }

  set(subject: string, object: string, action: Action, allowed: boolean): void {
    let row = this.#bySubject.get(subject)?.get(object);
    if (row === undefined) {
      if (this.#entries >= this.#entriesMax) this.clear();
      let objects = this.#bySubject.get(subject);
      if (objects === undefined) {
        objects = new Map();
        this.#bySubject.set(subject, objects);
      }
      row = new Uint8Array(actions.length);
      objects.set(object, row);
      this.#entries++;
    }
    row[columnOf[action]] = allowed ? yes : no;
  }

  /** Number of cached pairs. */
  get size(): number {
    return this.#entries;
  }

  clear(): void {
    this.#bySubject.clear();
    this.#entries = 0;
  }
}
