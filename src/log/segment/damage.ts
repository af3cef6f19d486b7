/**
 * Damage: stored bytes that are not what was written. One place that says what is damaged and what can be done about
 * it, and the book of what was found in a running log.
 *
 * What was found is noted in the catalog, so that the next start refuses until it is repaired; a damaged segment is
 * noted once, at its first damage.
 *
 * Never: repairs, looks for damage.
 */
import { basename, dirname } from "node:path";
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { RaftIndex } from "../../types.ts";

/** What is damaged, from where on, and how that shows. */
export interface Damage {
  /** The path of a segment's file. */
  readonly path: string;
  /** In the file, bytes. */
  readonly position: number;
  readonly why: string;
}

/** The command that says what a repair would cut. A segment's file lies in `<data>/log`. */
const repairOf = (path: string): string => `tailrace repair ${dirname(dirname(path))}`;

/** For whoever wanted to read there. The sentence has no path: it travels to clients. */
function damageFault({ path, position, why }: Damage): Fault {
  const file = basename(path);
  return new Fault("corrupt", {
    message: `${file} is damaged at byte ${position} (${why})`,
    facts: { file, position, why, repair: repairOf(path) },
  });
}

/** For whoever wanted to start: full path, position, and the repair command, in the sentence and as facts. */
export function refusal({ path, position, why }: Damage): Fault {
  const repair = repairOf(path);
  return new Fault("corrupt", {
    message: `${path} is damaged at byte ${position} (${why}); nothing was changed. See what a repair would cut: ${repair}`,
    facts: { file: path, position, why, repair },
  });
}

/** How the catalog keeps it. */
export interface NotedDamage {
  readonly position: number;
  readonly why: string;
}

export class DamageRegistry {
  readonly #noted = new Map<RaftIndex, Damage>();
  readonly #keep: (first: RaftIndex, damage: NotedDamage) => void;
  readonly #logger: Logger | undefined;

  /** `keep` makes a note durable; it may fail without harm, for damage is found again. */
  constructor(keep: (first: RaftIndex, damage: NotedDamage) => void, logger: Logger | undefined) {
    this.#keep = keep;
    this.#logger = logger;
  }

  /** Takes note, and answers the fault to throw. */
  note(first: RaftIndex, damage: Damage): Fault {
    const fault = damageFault(damage);
    if (this.#noted.has(first)) return fault;
    this.#noted.set(first, damage);
    this.#logger?.error(
      { ...fault.facts, file: damage.path },
      "stored bytes are damaged: they are not served, and the next start is refused until they are repaired",
    );
    try {
      this.#keep(first, { position: damage.position, why: damage.why });
    } catch (err) {
      this.#logger?.warn({ err }, "the damage could not be noted in the catalog");
    }
    return fault;
  }

  /** An index that had to be built anew from its store. */
  rebuilt(path: string): void {
    this.#logger?.warn({ file: path }, "a damaged or missing index was built anew from its store");
  }

  /** These segments are gone, and their damage with them. */
  forget(firsts: readonly RaftIndex[]): void {
    for (const first of firsts) this.#noted.delete(first);
  }

  /** How many segments are known to be damaged. */
  get count(): number {
    return this.#noted.size;
  }

  /** The first that was found. */
  get first(): Fault | undefined {
    const [damage] = this.#noted.values();
    return damage === undefined ? undefined : damageFault(damage);
  }
}
