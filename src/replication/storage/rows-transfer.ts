/**
 * The rows of named logs between nodes. A snapshot names the base file of the leader. The follower asks for it piece by piece, and
 * gives the snapshot to Raft only when the file is here and is that of the snapshot.
 */
import { Fault } from "../../fault.ts";
import type { SegmentedLog } from "../../log/mod.ts";
import type { Snapshot } from "../../raft/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { startIn } from "../snapshot/packed-start.ts";
import { isWhole } from "./configuration-check.ts";

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
   * Fetches the rows that a snapshot names, and then calls `pass`, which gives the snapshot to Raft and returns the one that Raft
   * has accepted and not installed. `pass` is not called while another file is fetched or waits for the log: the leader sends the
   * snapshot again.
   * @throws Fault "corrupt" if they are not those of the snapshot; what `ask` and `pass` throw; the error of the disk
   */
  async fetch(
    { data, index: last, term }: Snapshot,
    ask: (range: RowsRange) => Promise<Uint8Array>,
    pass: () => Pick<Snapshot, "index" | "term"> | undefined,
  ): Promise<void> {
    // Raft ignores it.
    if (last <= this.#log.commitIndex) {
      pass();
      return;
    }
    const start = startIn(data);
    const { download } = this.#log.rows;
    const isHere = await download.fetch(start, (index, position, bytes) => ask({ index, position, bytes }));
    if (!isHere) return;
    let isAccepted = false;
    try {
      const pending = pass();
      isAccepted = pending?.index === last && pending.term === term;
    } finally {
      if (isAccepted) download.accepted(start);
      else download.released(start);
    }
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
