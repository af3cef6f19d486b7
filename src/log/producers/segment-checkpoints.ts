/**
 * The checkpoints at the starts of segments. One with many producers is written without them, because packing them takes long.
 * A file gets them later (see producer-checkpoints.ts). Until then opening folds from an earlier checkpoint.
 *
 * Invariant: the first segment has its producers. Nothing before it could tell them.
 */
import { assert } from "../../lib/assert.ts";
import type { RaftIndex } from "../../types.ts";
import { type Catalog, type CatalogChanges, catalogChange } from "../segment/catalog.ts";
import type { LogState } from "../state/log-state.ts";
import type { ProducersFile } from "./producers-file.ts";

export class SegmentCheckpoints {
  readonly #catalog: Catalog;
  readonly #inlineMax: number;
  /** The first indexes of segments that lack their producers. */
  readonly #lacking: Set<RaftIndex>;
  #pending: RaftIndex | undefined;

  /** `firsts`: those of the segments that may lack producers. More than `inlineMax` producers are in a file. */
  constructor(catalog: Catalog, inlineMax: number, firsts: readonly RaftIndex[]) {
    this.#catalog = catalog;
    this.#inlineMax = inlineMax;
    this.#lacking = new Set(firsts.filter((first) => catalog.lacksProducers(first)));
  }

  /** True if the state has so many producers that they are in a file. */
  areApart({ producers }: LogState): boolean {
    return this.areMany(producers.sizeMax);
  }

  /** True if so many producers are in a file. */
  areMany(count: number): boolean {
    return count > this.#inlineMax;
  }

  /** The checkpoint of the segment that is about to begin after `index`. Call began() once it has. */
  beginning(index: RaftIndex, state: LogState, isFirst: boolean): CatalogChanges {
    const first = index + 1;
    const file = isFirst ? this.#catalog.startProducers() : null;
    this.#pending = undefined;
    if (file === undefined || (file === null && !this.areApart(state)))
      return catalogChange.checkpoint(first, state.checkpointAt(index));
    if (file === null) this.#pending = first;
    return catalogChange.checkpointApart(first, state.headAt(index), file);
  }

  began(first: RaftIndex): void {
    this.#lacking.delete(first);
    if (this.#pending === first) this.#lacking.add(first);
  }

  removed(firsts: readonly RaftIndex[]): void {
    for (const first of firsts) this.#lacking.delete(first);
  }

  /** True while the producers before this segment, which is part of the log, are not written. */
  lacksProducers(first: RaftIndex): boolean {
    return this.#lacking.has(first);
  }

  /** The producers before this segment, which lacks them, are written. Throws what the catalog throws. */
  give(first: RaftIndex, file: ProducersFile): void {
    const head = this.#catalog.checkpointHead(first);
    assert(this.#lacking.has(first) && head !== undefined, "a segment that has its producers");
    this.#catalog.write(catalogChange.checkpointApart(first, head, file));
    this.#lacking.delete(first);
  }

  /** How many of the first `count` segments can be removed: the one after them has its producers. */
  removable(segments: readonly { readonly first: RaftIndex }[], count: number): number {
    let left = count;
    while (left > 0 && this.#lacking.has(segments[left]?.first ?? 0)) left--;
    return left;
  }
}
