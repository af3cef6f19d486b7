/**
 * What one reader of several logs has seen: every committed record of its logs exactly once, in the order of the Raft log, but
 * for those that were trimmed or whose log was deleted.
 */
import type { LogId, Offset, RaftIndex, RaftPosition } from "../../../src/types.ts";
import type { NamedHistory } from "./named-history.ts";
import { Violation } from "./violation.ts";

/** Records of one batch that were shown. */
interface ShownRecords {
  readonly id: LogId;
  readonly name: string;
  readonly index: RaftIndex;
  /** The offset of the first record of the batch, and of the first that was shown. */
  readonly base: Offset;
  readonly first: Offset;
  readonly values: readonly string[];
}

export class MultiHistory {
  readonly #named: NamedHistory;
  readonly #prefix: string | undefined;
  readonly #ids: ReadonlySet<LogId> | undefined;
  #index: RaftIndex = 1;
  #sent = 0;

  /** The logs of a prefix, or those with these ids. */
  constructor(named: NamedHistory, prefix: string | undefined, ids: ReadonlySet<LogId> | undefined) {
    this.#named = named;
    this.#prefix = prefix;
    this.#ids = ids;
  }

  /** Everything before it was seen. */
  get place(): RaftPosition {
    return { index: this.#index, sent: this.#sent };
  }

  shown({ id, name, index, base, first, values }: ShownRecords): void {
    if (!this.#isWanted(id)) fail("other-log", `${name} ${id}`);
    if (index < this.#index) fail("again", `the batch at ${index}, after ${this.#index}`);
    this.#passTo(index);
    const due = base + this.#sent;
    if (first < due) fail("again", `${id}/${first} at ${index}, ${due} is due`);
    if (first > due && first > this.#named.logs.get(id)!.lowest) fail("skipped", `${id}/${due} at ${index}`);
    for (const [k, value] of values.entries())
      if (this.#named.valueAt(id, first + k) !== value) fail("wrong-value", `${value} at ${id}/${first + k}`);
    this.#sent = first + values.length - base;
  }

  /** The tail said that a log of its list is deleted. */
  deleted(id: LogId): void {
    if (this.#named.logs.get(id)?.deleted !== true) fail("not-deleted", `${id}`);
  }

  /** The tail has shown everything that its server has committed. */
  rested(commitIndex: RaftIndex): void {
    if (commitIndex >= this.#index) this.#passTo(commitIndex + 1);
  }

  /** No node holds batches below this index any more. */
  removedBelow(index: RaftIndex): void {
    if (index > this.#index) this.#passTo(index);
  }

  /** What was not shown before `index` must be gone. */
  #passTo(index: RaftIndex): void {
    if (index === this.#index) return;
    for (const batch of this.#named.batchesFrom(this.#index)) {
      if (batch.index >= index) break;
      const isSeen = batch.index === this.#index && this.#sent >= batch.count;
      if (isSeen || !this.#isWanted(batch.id)) continue;
      const log = this.#named.logs.get(batch.id)!;
      if (!log.deleted && log.lowest < batch.base + batch.count)
        fail("skipped", `the batch at ${batch.index} of ${log.name} ${log.id}`);
    }
    this.#index = index;
    this.#sent = 0;
  }

  #isWanted(id: LogId): boolean {
    if (this.#ids !== undefined) return this.#ids.has(id);
    return this.#named.logs.get(id)!.name.startsWith(this.#prefix!);
  }
}

function fail(what: string, detail: string): never {
  throw new Violation(`multi-tail-${what}`, detail);
}
