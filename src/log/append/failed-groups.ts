/**
 * Tells the appends of groups that failed, so many in one turn of the event loop: a full queue has 131,072 appends, and each of
 * them is answered. They are told in the order in which they were queued.
 */
import type { Fault } from "../../fault.ts";
import type { QueuedGroup } from "./queued-group.ts";

/** Appends that are told in one turn. The answer to a refused append takes about 10 µs. */
const toldAtOnce = 512;

interface FailedGroup {
  readonly group: QueuedGroup;
  readonly fault: Fault;
  /** How many of its appends were told. */
  told: number;
}

export class FailedGroups {
  readonly #soon: ((work: () => void) => void) | undefined;
  readonly #release: (group: QueuedGroup) => void;
  #waiting: FailedGroup[] = [];
  #isTelling = false;

  /** `release` is called for each group once all of its appends were told. Without `soon` all are told at once. */
  constructor(release: (group: QueuedGroup) => void, soon?: (work: () => void) => void) {
    this.#release = release;
    this.#soon = soon;
  }

  /** Why the last of the groups failed that are still to be told; undefined if there are none. */
  get fault(): Fault | undefined {
    return this.#waiting.at(-1)?.fault;
  }

  /** These groups failed, which were queued after those that wait already. The first ones are told at once. */
  add(groups: Iterable<QueuedGroup>, fault: Fault): void {
    for (const group of groups) this.#waiting.push({ group, fault, told: 0 });
    if (!this.#isTelling) this.#tell();
  }

  #tell(): void {
    this.#isTelling = true;
    let left = this.#soon === undefined ? Number.POSITIVE_INFINITY : toldAtOnce;
    let done = 0;
    for (const failed of this.#waiting) {
      left = tell(failed, left);
      if (failed.told < sizeOf(failed.group)) break;
      this.#release(failed.group);
      done++;
    }
    this.#waiting = this.#waiting.slice(done);
    if (this.#waiting.length > 0) this.#soon?.(() => this.#tell());
    else this.#isTelling = false;
  }
}

/** What waits for a group, its commands and checks included. */
const sizeOf = ({ waiters, barriers }: QueuedGroup): number => waiters.length + barriers.length;

/** Tells at most `most` appends of a group. Returns how many more may be told. */
function tell(failed: FailedGroup, most: number): number {
  const { fault } = failed;
  const { waiters, barriers } = failed.group;
  let left = most;
  for (; left > 0 && failed.told < waiters.length; left--) waiters[failed.told++]!.reject(fault);
  for (; left > 0 && failed.told < waiters.length + barriers.length; left--)
    barriers[failed.told++ - waiters.length]!(fault);
  return left;
}
