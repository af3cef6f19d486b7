/**
 * Logs the appends that took longer than a limit, with the time of each phase:
 *
 *   queue       from its arrival until its group is written: it waited for the groups before
 *   write       of the group into the segment file, without the syncs
 *   sync        of the segment file. In the thread pool write and sync are one step, which counts as sync
 *   replicate   from then until a majority has the group and it is applied
 *
 * The group is sent to the followers before it is written here, so `replicate` is what they took longer than this node. One line
 * tells of a whole group, by its oldest append. There is at most one line a second.
 */
import type { Fault } from "../../../fault.ts";
import type { Logger } from "../../../lib/telemetry.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import { RateGate } from "../../../lib/time/rate-gate.ts";
import type { FlushTime, QueuedGroup } from "../../../log/mod.ts";
import type { LogId, RaftIndex } from "../../../types.ts";
import type { ProposedGroup } from "./proposed-group.ts";

/** The part of a SegmentedLog that says when groups were written, and what logs are named. */
export interface TimedLog {
  readonly meter: { readonly flushes: { of(index: RaftIndex): FlushTime | undefined } } | undefined;
  readonly state: { readonly logs: { row(id: LogId): { readonly name: string } | undefined } };
}

export interface SlowAppendsOptions {
  readonly log: TimedLog;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly logger: Pick<Logger, "warn">;
  /** In milliseconds. 0: none is logged. */
  readonly limitMs: number;
}

/** In milliseconds, two decimals. A phase that did not begin is missing. */
interface Phases {
  readonly queueMs: number;
  readonly writeMs?: number;
  readonly syncMs?: number;
  readonly replicateMs?: number;
}

const linesPerSecond = 1;

export class SlowAppends {
  readonly #options: SlowAppendsOptions;
  readonly #gate = new RateGate(linesPerSecond);

  constructor(options: SlowAppendsOptions) {
    this.#options = options;
  }

  /** A group is applied or, with `fault`, has failed. */
  ended(proposed: ProposedGroup, fault: Fault | undefined): void {
    const { clock, limitMs, logger } = this.#options;
    if (limitMs === 0) return;
    const { group } = proposed;
    const nowMs = clock.monotonicMs();
    const tookMs = nowMs - group.queuedMs;
    if (tookMs < limitMs || !this.#gate.pass(nowMs)) return;
    const unlogged = this.#gate.takeDropped();
    logger.warn(
      {
        ...this.#logOf(group.oldest),
        ...sizeOf(group.parts),
        tookMs: rounded(tookMs),
        ...this.#phases(proposed, nowMs),
        ...(unlogged > 0 ? { unlogged } : {}),
        ...(fault === undefined ? {} : { err: fault }),
      },
      fault === undefined ? "slow append" : "slow append, which failed",
    );
  }

  #logOf({ logId }: QueuedGroup): { readonly log: string } {
    // A log that was deleted meanwhile has only its number.
    const name = logId === 0 ? "default" : this.#options.log.state.logs.row(logId)?.name;
    return { log: name ?? `#${logId}` };
  }

  #phases({ group: { queuedMs }, lastIndex }: ProposedGroup, nowMs: number): Phases {
    const flush = this.#options.log.meter?.flushes.of(lastIndex);
    if (flush === undefined) return { queueMs: rounded(nowMs - queuedMs) };
    const beganMs = Math.max(flush.beganMs, queuedMs);
    const endedMs = flush.endedMs ?? nowMs;
    return {
      queueMs: rounded(beganMs - queuedMs),
      writeMs: rounded(endedMs - beganMs - flush.syncMs),
      syncMs: rounded(flush.syncMs),
      ...(flush.endedMs === undefined ? {} : { replicateMs: rounded(nowMs - endedMs) }),
    };
  }
}

/** The size of the group: its logs, appends, records, and bytes of frames. */
function sizeOf(parts: readonly QueuedGroup[]): Record<"logs" | "appends" | "records" | "bytes", number> {
  let [appends, records, bytes] = [0, 0, 0];
  for (const part of parts) {
    appends += part.appends;
    records += part.builder.records;
    bytes += part.builder.usedBytes;
  }
  return { logs: new Set(parts.map(({ logId }) => logId)).size, appends, records, bytes };
}

const rounded = (ms: number): number => Math.max(0, Math.round(ms * 100) / 100);
