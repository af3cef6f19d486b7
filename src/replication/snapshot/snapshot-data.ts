/**
 * The data of the snapshot that a leader sends: the start of its log. Many producers are packed in turns. Meanwhile there is no
 * snapshot, and Raft asks again at the next heartbeat. The data stays in memory for some time, for other followers and attempts.
 */
import { Fault } from "../../fault.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { atOnce, inSlices } from "../../lib/time/in-slices.ts";
import type { OpenedStart, SegmentedLog } from "../../log/mod.ts";
import { packStart } from "./packed-start.ts";

const keptMs = 60_000;

interface Packed {
  /** The start that it is of. */
  readonly key: string;
  readonly data: Uint8Array;
}

export class SnapshotData {
  readonly #log: Pick<SegmentedLog, "before" | "rows">;
  readonly #clock: Clock;
  #packed: Packed | undefined;
  #packing: Promise<void> | undefined;
  /** What the last attempt threw. The next call throws it, and another one tries again. */
  #fault: Fault | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(log: Pick<SegmentedLog, "before" | "rows">, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /**
   * Returns the data for the start of the log as it is now; undefined while it is being packed.
   * @throws Fault "corrupt" if the start is damaged; "disk-busy" or "disk-full" if it cannot be read now
   */
  take(): Uint8Array | undefined {
    const fault = this.#fault;
    this.#fault = undefined;
    if (fault !== undefined) throw fault;
    const { before, rows } = this.#log;
    const { base } = rows;
    const key = `${before.index} ${before.crc} ${base?.index}`;
    if (this.#packed?.key === key) {
      this.#keep(this.#packed);
      return this.#packed.data;
    }
    this.#packed = undefined;
    if (this.#packing !== undefined || this.#closed) return undefined;
    const start = rows.openStart();
    if (!start.producers.inFile) return atOnce(packStart(start, base));
    this.#packing = this.#pack(key, start, base).finally(() => {
      this.#packing = undefined;
    });
    return undefined;
  }

  async #pack(key: string, start: OpenedStart, base: SegmentedLog["rows"]["base"]): Promise<void> {
    try {
      const data = await inSlices(this.#clock, packStart(start, base), () => !this.#closed);
      if (data !== undefined) this.#keep({ key, data });
    } catch (reason) {
      if (!(reason instanceof Fault)) throw reason;
      this.#fault = reason;
    }
  }

  #keep(packed: Packed): void {
    this.#packed = packed;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(keptMs, () => {
      this.#packed = undefined;
    });
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#packed = undefined;
    this.#timer?.cancel();
    await this.#packing;
  }
}
