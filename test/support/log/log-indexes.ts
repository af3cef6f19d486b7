/** Log indexes for tests, with the places of batches in a store that is not there. */
import assert from "node:assert/strict";
import { ActiveLogIndex } from "../../../src/log/index/log-index.ts";
import type { LoggedSegment, StorePlaces } from "../../../src/log/index/sealed-log-index.ts";

export const describedSegment: LoggedSegment = {
  directoryId: new Uint8Array(16).fill(9),
  first: 7,
  store: { storeBytes: 3_000_000_000, lastCrc: 0xffff_0001 },
};

/** Batch k begins at 1000 k². */
export const placesOf = (length: number): StorePlaces => ({ length, position: (k) => 1_000 * k * k });

/** Four batches of three logs. */
export function filledLogs(): ActiveLogIndex {
  const index = new ActiveLogIndex();
  index.append(300, 1, 2 ** 40, () => 2 ** 33);
  index.append(5, 2, 0, () => 0);
  index.append(300, 3, 2 ** 40 + 2, () => assert.fail("it is asked once for each log"));
  index.append(0xffff_ffff, 9, 1, () => 6);
  return index;
}
