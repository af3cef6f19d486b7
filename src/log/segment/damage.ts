/**
 * Damage: stored bytes that are not what was written. Makes the faults that report it, and keeps the damage that was
 * found in a running log.
 *
 * Damage is saved in the catalog, so that the next start is refused until it is repaired. Only the first damage of a
 * segment is saved.
 */
import { basename, dirname } from "node:path";
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { RaftIndex } from "../../types.ts";

/** What is damaged, from where on, and what is wrong. */
export interface Damage {
  /** Of a segment's file. */
  readonly path: string;
  /** In the file, bytes. */
  readonly position: number;
  readonly why: string;
}

/** The command that shows what a repair would cut. A segment's file is in `<data>/log`. */
const repairOf = (path: string): string => `tailrace repair ${dirname(dirname(path))}`;

/** The fault for a reader. Its message has no path, because it is sent to clients. */
function damageFault({ path, position, why }: Damage): Fault {
  const file = basename(path);
  return new Fault("corrupt", {
    message: `${file} is damaged at byte ${position} (${why})`,
    facts: { file, position, why, repair: repairOf(path) },
  });
}

/** The fault while the database of named logs is damaged. Its frames are sound. */
export const damagedRows = (): Fault =>
  new Fault("corrupt", {
    message: "the database of named logs is damaged; the node builds it again in the background",
    facts: { why: "rows" },
  });

/** The fault for a start that is refused: full path, position and repair command, in the message and as facts. */
export function damageRefusal({ path, position, why }: Damage): Fault {
  const repair = repairOf(path);
  return new Fault("corrupt", {
    message: `${path} is damaged at byte ${position} (${why}); nothing was changed. See what a repair would cut: ${repair}`,
    facts: { file: path, position, why, repair },
  });
}

/** The key of the base file among the segments, which begin at 1 or later. */
const baseKey = 0;
/** The key of the database of named logs. */
const rowsKey = -1;

/** Damage of a segment as the catalog holds it. */
export interface SavedDamage {
  readonly position: number;
  readonly why: string;
}

export class DamageRegistry {
  /** By the first index of the segment; undefined for the database of named logs. */
  readonly #found = new Map<RaftIndex, Damage | undefined>();
  readonly #save: (first: RaftIndex, damage: SavedDamage) => void;
  readonly #logger: Logger | undefined;

  /** `save` makes the damage durable. It may fail: the damage is found again after the next start. */
  constructor(save: (first: RaftIndex, damage: SavedDamage) => void, logger: Logger | undefined) {
    this.#save = save;
    this.#logger = logger;
  }

  /** Registers damage of the segment that begins at `first`. Returns the fault to throw. */
  report(first: RaftIndex, damage: Damage): Fault {
    const fault = damageFault(damage);
    if (this.#found.has(first)) return fault;
    this.#found.set(first, damage);
    this.#logger?.error(
      { ...fault.facts, file: damage.path },
      "stored bytes are damaged: they are not served, and the next start is refused until they are repaired",
    );
    try {
      this.#save(first, { position: damage.position, why: damage.why });
    } catch (err) {
      this.#logger?.warn({ err }, "the damage could not be saved in the catalog");
    }
    return fault;
  }

  /** True if damage of this segment is known. */
  has(first: RaftIndex): boolean {
    return this.#found.has(first);
  }

  /** Registers damage of the base file of named logs. It is not saved: a start that needs the base finds it. */
  reportBase(damage: Damage): void {
    if (this.#found.has(baseKey)) return;
    this.#found.set(baseKey, damage);
    this.#logger?.error(
      { ...damageFault(damage).facts, file: damage.path },
      "the base file of named logs is damaged: it is not sent to other nodes, and no segments are removed",
    );
  }

  /** The log has another base file. */
  removeBase(): void {
    this.#found.delete(baseKey);
  }

  /** Registers damage of the database of named logs. It is not saved: another one is built. */
  reportRows(): void {
    if (this.#found.has(rowsKey)) return;
    this.#found.set(rowsKey, undefined);
    const { facts, message } = damagedRows();
    this.#logger?.error(facts, message);
  }

  /** The log has another database. */
  removeRows(): void {
    this.#found.delete(rowsKey);
  }

  /** Logs that an index was rebuilt from its store. */
  rebuilt(path: string): void {
    this.#logger?.warn({ file: path }, "a damaged or missing index was rebuilt from its store");
  }

  /** These segments were removed. */
  remove(firsts: readonly RaftIndex[]): void {
    for (const first of firsts) this.#found.delete(first);
  }

  /** How many segments, base files and databases of named logs are known to be damaged. */
  get count(): number {
    return this.#found.size;
  }

  /** The fault of the damage that was found first. */
  get first(): Fault | undefined {
    if (this.#found.size === 0) return undefined;
    const [damage] = this.#found.values();
    return damage === undefined ? damagedRows() : damageFault(damage);
  }
}
