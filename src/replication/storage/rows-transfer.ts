/**
 * The rows of named logs between nodes. A snapshot names the base file of the leader. The follower asks for it piece by piece, and
 * gives the snapshot to Raft only when the file is here and is that of the snapshot.
 */
import { Fault } from "../../fault.ts";
import { checkStartFields, type SegmentedLog } from "../../log/mod.ts";
import type { Snapshot } from "../../raft/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { isWhole } from "./configuration-check.ts";
import { unpack } from "./msgpack.ts";

/** Bytes of a base file. */
export interface RowsRange {
  readonly index: RaftIndex;
  readonly position: number;
  readonly bytes: number;
}

const rangeBytesMax = 1024 * 1024;

export class RowsTransfer {
  readonly #log: SegmentedLog;

  constructor(log: SegmentedLog) {
    this.#log = log;
  }

  /**
   * Returns a part of the base file of this log.
   * @throws Fault "bad-request" for a malformed range, "not-found" if the base is another one by now, "unavailable" if it is damaged
   */
  read(range: unknown): Uint8Array {
    const { index, position, bytes } = rangeOf(range);
    const { rows } = this.#log;
    const { fault } = rows.baseCheck;
    if (fault !== undefined) throw damagedBase(index, fault);
    if (position === 0) void rows.baseCheck.begin();
    const file = rows.base?.index === index ? rows.openBase() : undefined;
    if (file === undefined) {
      throw new Fault("not-found", {
        message: `this node has no base file ${index} any more`,
        facts: { reason: "BASE_REPLACED" },
      });
    }
    try {
      const target = new Uint8Array(Math.max(0, Math.min(bytes, file.size() - position)));
      return target.subarray(0, file.read(target, position));
    } finally {
      file.close();
    }
  }

  /**
   * Fetches the rows that a snapshot names. Resolves to true when the snapshot can be given to Raft; to false if another one is
   * being fetched: the leader sends it again.
   * @throws Fault "corrupt" if they are not those of the snapshot; what `ask` rejects with; the error of the disk
   */
  async fetch(
    { data, index: last }: Snapshot,
    ask: (range: RowsRange) => Promise<Uint8Array>,
  ): Promise<boolean> {
    // Raft ignores it.
    if (last <= this.#log.commitIndex) return true;
    const start = checkStartFields(unpack(data));
    return this.#log.rows.download.fetch(start, (index, position, bytes) => ask({ index, position, bytes }));
  }
}

/** For the follower, which logs it. */
const damagedBase = (index: RaftIndex, cause: Fault): Fault =>
  new Fault("unavailable", {
    message: `the base file ${index} of the leader is damaged: another node must lead`,
    facts: { reason: "BASE_DAMAGED" },
    cause,
  });

function rangeOf(value: unknown): RowsRange {
  const { index, position, bytes } = (
    typeof value === "object" && value !== null ? value : {}
  ) as Partial<RowsRange>;
  const isRange = isWhole(index) && isWhole(position) && isWhole(bytes) && bytes <= rangeBytesMax;
  if (isRange) return { index, position, bytes };
  throw new Fault("bad-request", { message: "the request for rows is malformed" });
}
