/**
 * Whether the disk of a leader takes more. Records and new logs are refused while it does not. Other commands are always
 * tried: a trim or a delete can free space, and needs the reserve.
 */
import type { Fault } from "../../fault.ts";
import type { Reserve, SegmentedLog } from "../../log/mod.ts";

export class DiskAdmission {
  readonly #reserve: Pick<Reserve, "open" | "fault" | "filled"> | undefined;
  readonly #log: Pick<SegmentedLog, "retryRefused">;

  constructor(
    reserve: Pick<Reserve, "open" | "fault" | "filled"> | undefined,
    log: Pick<SegmentedLog, "retryRefused">,
  ) {
    this.#reserve = reserve;
    this.#log = log;
  }

  /** Fault "disk-full" or "disk-busy" while the disk refuses records. Each read checks the disk again. */
  get refusal(): Fault | undefined {
    if (this.#reserve?.open === false) return this.#reserve.fault();
    // What was accepted waits for the disk already: more is refused instead of waiting behind it.
    return this.#log.retryRefused();
  }

  /** @throws Fault "disk-full" or "disk-busy", not written */
  check(): void {
    const { refusal } = this;
    if (refusal !== undefined) throw refusal;
  }

  /** The disk was found to be full. */
  filled(): void {
    this.#reserve?.filled();
  }
}
