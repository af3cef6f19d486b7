/** What a leader has accepted and its log does not hold yet: the groups that were proposed, and the queue behind them. */
import {
  type AppendQueue,
  type LogRow,
  type QueuedGroup,
  type QueuedStream,
  type SegmentedLog,
  type ShareOwner,
  streamsIn,
  type WriteGroup,
} from "../../log/mod.ts";
import type { AppendOptions, LogId, Offset, Term } from "../../types.ts";
import type { ProposedGroup } from "./groups/proposed-group.ts";

export interface UnstagedPorts {
  readonly queue: AppendQueue;
  readonly log: Pick<SegmentedLog, "end">;
  /** The groups that were proposed and not applied, in order. */
  readonly inFlight: readonly ProposedGroup[];
  readonly term: () => Term;
}

/** Whose room in the queue an append uses. */
export const ownerOf = ({ log, subject }: AppendOptions): ShareOwner => ({
  log: log?.name,
  subject: subject ?? "",
});

const noGroups: readonly WriteGroup[] = [];

export class UnstagedAppends {
  readonly #ports: UnstagedPorts;

  constructor(ports: UnstagedPorts) {
    this.#ports = ports;
  }

  /** The groups of this term that were proposed and are not in the log yet, in order. */
  get groups(): readonly WriteGroup[] {
    const { inFlight, log, term } = this.#ports;
    if (inFlight.length === 0) return noGroups;
    const present = term();
    const unstaged: WriteGroup[] = [];
    for (const { term: proposed, lastIndex, group } of inFlight)
      if (proposed === present && lastIndex > log.end.index) unstaged.push(group);
    return unstaged;
  }

  /** The last group that is queued for this log, otherwise the last one that is proposed. */
  last(id?: LogId): QueuedGroup | undefined {
    const { inFlight, queue } = this.#ports;
    const queued = id === undefined ? undefined : queue.last(id);
    return queued ?? inFlight[inFlight.length - 1]?.group.last;
  }

  /** The first offset of the next append to a log, if everything before it succeeds. No row: `default`. */
  tailOffset(row: LogRow | undefined): Offset {
    const next = row === undefined ? this.#ports.log.end.nextOffset : row.next;
    return next + this.recordsOf(row?.id ?? 0);
  }

  /** Records of a log. */
  recordsOf(id: LogId): number {
    let records = this.#ports.queue.recordsOf(id);
    for (const group of this.groups) records += group.recordsOf(id);
    return records;
  }

  /** Bytes and frames of all logs, with another group behind them. */
  sizeWith(next: WriteGroup): { readonly bytes: number; readonly batches: number } {
    let [bytes, batches] = [next.usedBytes, next.batches];
    for (const group of this.groups) {
      bytes += group.usedBytes;
      batches += group.batches;
    }
    return { bytes, batches };
  }

  /** Bytes of a named log's frames. */
  bytesOf(id: LogId): number {
    let bytes = this.#ports.queue.bytesOf(id);
    for (const group of this.groups) bytes += group.bytesOf(id);
    return bytes;
  }

  /** The appends of a stream to a log, in order. */
  streamsOf(id: LogId): readonly QueuedStream[] {
    const queued = this.#ports.queue.streamsOf(id);
    const proposed = this.groups.flatMap((group) => streamsIn(group.of(id)));
    return proposed.length === 0 ? queued : [...proposed, ...queued];
  }
}
