/**
 * Writes the producers at the starts of segments whose checkpoints lack them, off the event loop.
 *
 *   a segment begins → it has a committed frame → the producers before it are frozen, and written to a file → the catalog names it
 *
 * One file is written at a time. If segments begin faster, only the newest one waits, and those in between stay without producers.
 * Nothing is lost if this fails or ends: opening folds from an earlier checkpoint, and the log does not begin with such a segment.
 */
import type { Fault } from "../../fault.ts";
import { type Disk, errorCode, troubleOf } from "../../lib/disk/disk.ts";
import { type Logger, noLogger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { RaftIndex } from "../../types.ts";
import { producersName } from "../segment/segment-files.ts";
import type { LogState } from "../state/log-state.ts";
import type { FrozenProducers } from "../state/producer-table.ts";
import { packProducers, writeProducers } from "./producers-file.ts";
import type { SegmentCheckpoints } from "./segment-checkpoints.ts";

const retryMs = 1000;

export interface ProducerCheckpointsParts {
  readonly disk: Disk;
  /** That of the segments. */
  readonly directory: string;
  readonly checkpoints: SegmentCheckpoints;
  readonly state: () => Pick<LogState, "freezeProducers">;
  /** Without it, what fails is not tried again before the next segment begins. */
  readonly clock: Clock | undefined;
  readonly logger: Logger | undefined;
  /** Notes a failed operation of the disk. */
  readonly faultOf: (reason: unknown) => Fault;
  readonly usable: () => boolean;
}

interface Job {
  readonly first: RaftIndex;
  readonly frozen: FrozenProducers;
}

export class ProducerCheckpoints {
  readonly #parts: ProducerCheckpointsParts;
  /** What is written next. */
  #waiting: Job | undefined;
  #current: Job | undefined;
  #writing: Promise<void> | undefined;
  /** After a failure. */
  #isPaused = false;
  #closed = false;

  constructor(parts: ProducerCheckpointsParts) {
    this.#parts = parts;
  }

  /** Resolves when the write that is under way has ended. */
  get writing(): Promise<void> | undefined {
    return this.#writing;
  }

  /** The segment at `first` began. */
  rolled(first: RaftIndex): void {
    const { checkpoints, state } = this.#parts;
    if (!checkpoints.lacksProducers(first)) return;
    state().freezeProducers(first - 1, (frozen) => {
      this.#waiting = { first, frozen };
      this.#isPaused = false;
      this.#begin();
    });
  }

  /** The log was replaced: what is under way is not about it. */
  reset(): void {
    this.#waiting = undefined;
    this.#current = undefined;
  }

  close(): void {
    this.#closed = true;
    this.reset();
  }

  #begin(): void {
    const job = this.#waiting;
    const isBusy = this.#writing !== undefined || this.#isPaused || this.#closed;
    if (job === undefined || isBusy || !this.#parts.usable()) return;
    this.#waiting = undefined;
    this.#current = job;
    this.#writing = this.#write(job).finally(() => {
      this.#writing = undefined;
      this.#current = undefined;
      this.#begin();
    });
  }

  async #write(job: Job): Promise<void> {
    const { disk, directory, checkpoints } = this.#parts;
    const { first, frozen } = job;
    const goesOn = (): boolean => this.#current === job && checkpoints.lacksProducers(first);
    try {
      const rows = frozen.producers.length;
      const pieces = packProducers(frozen);
      const file = await writeProducers(disk, directory, producersName(first), pieces, rows, goesOn);
      if (file === undefined || !goesOn()) return;
      try {
        checkpoints.give(first, file);
      } catch (reason) {
        this.#failed(job, reason, troubleOf(reason) === "lost");
      }
    } catch (reason) {
      // Nothing names the file yet. So an error, whatever its code is, loses nothing, unless a sync failed.
      this.#failed(job, reason, errorCode(reason) === "");
    }
  }

  #failed(job: Job, reason: unknown, isLoss: boolean): void {
    const { clock, logger, faultOf } = this.#parts;
    if (isLoss) faultOf(reason);
    (logger ?? noLogger).warn(
      { err: reason },
      "the producers at the start of a segment could not be written",
    );
    if (this.#current !== job) return;
    this.#waiting ??= job;
    this.#isPaused = true;
    clock?.after(retryMs, () => {
      this.#isPaused = false;
      this.#begin();
    });
  }
}
