/** Compares the producers in the checkpoints of segments with those that the frames define. */
import { isDeepStrictEqual } from "node:util";
import { Fault } from "../../fault.ts";
import type { RaftIndex } from "../../types.ts";
import type { Catalog } from "../segment/catalog.ts";
import { producersName } from "../segment/segment-files.ts";
import type { LogState } from "../state/log-state.ts";
import type { ProducerRow } from "../state/produced-batch.ts";
import { ProducerTable } from "../state/producer-table.ts";
import type { Find } from "./check-index.ts";

/** The producers in the checkpoint of this segment; undefined if it has none, or if their file is damaged: that is a finding. */
export function producersBefore(
  catalog: Catalog,
  first: RaftIndex,
  find: Find,
): readonly ProducerRow[] | undefined {
  try {
    return catalog.checkpoint(first)?.producers;
  } catch (reason) {
    if (!(reason instanceof Fault) || reason.facts.why !== "producers") throw reason;
    find(producersName(first), 0, "producers");
    return undefined;
  }
}

/** Returns true if the state has these producers, which are in the order of their last use. */
export function hasProducers({ producers }: LogState, expected: readonly ProducerRow[]): boolean {
  return isDeepStrictEqual(producers.rows(), new ProducerTable(expected).rows());
}

/** Returns true if the segment has no checkpoint, or if it is the first one and its checkpoint has no producers. */
export function lacksCheckpoint(catalog: Catalog, first: RaftIndex, isFirst: boolean): boolean {
  return catalog.checkpointHead(first) === undefined || (isFirst && catalog.lacksProducers(first));
}
