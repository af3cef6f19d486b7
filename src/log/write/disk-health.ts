/**
 * Whether the log may write, and what a failed operation of the disk means for it.
 *
 *   usable     every operation is allowed
 *   refusing   the disk refused the last write; nothing is lost, and the same call may be made again
 *   failed     bytes may be lost: nothing is written any more (terminal)
 *   closed     the owner closed the log (terminal)
 */
import { Fault } from "../../fault.ts";
import { troubleOf } from "../../lib/disk/disk.ts";
import { diskFault, isRefusal } from "../segment/disk-fault.ts";

export class DiskHealth {
  readonly #onRefusal: (() => void) | undefined;
  readonly #onFailure: ((failure: Fault) => void) | undefined;
  #failure: Fault | undefined;
  #refusal: Fault | undefined;
  #closed = false;

  /** `onRefusal` is called when the disk begins to refuse writes, `onFailure` once, when the log fails. */
  constructor(onRefusal?: () => void, onFailure?: (failure: Fault) => void) {
    this.#onRefusal = onRefusal;
    this.#onFailure = onFailure;
  }

  /** Fault "disk-failed" once bytes may be lost. */
  get failure(): Fault | undefined {
    return this.#failure;
  }

  /** Fault "disk-full" or "disk-busy" from the last refused write until a write succeeds. */
  get refusal(): Fault | undefined {
    return this.#refusal;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** False once the log failed or was closed. */
  get usable(): boolean {
    return this.#failure === undefined && !this.#closed;
  }

  /** @throws Fault "disk-failed" once the log failed, Fault "unavailable" once it is closed */
  checkUsable(): void {
    if (this.#failure !== undefined) throw new Fault("disk-failed", { cause: this.#failure });
    if (this.#closed) throw new Fault("unavailable", { message: "the log is closed" });
  }

  close(): void {
    this.#closed = true;
  }

  /** The disk accepted a write. */
  accepted(): void {
    this.#refusal = undefined;
  }

  /** The disk refused a write with this fault, which is returned. */
  refused(refusal: Fault): Fault {
    const isNew = this.#refusal === undefined;
    this.#refusal = refusal;
    if (isNew) this.#onRefusal?.();
    return refusal;
  }

  /** Bytes may be lost. Returns the fault to throw: that of the first failure. */
  failed(reason: unknown): Fault {
    if (this.#failure === undefined) {
      this.#failure = new Fault("disk-failed", { written: "unknown", cause: reason });
      this.#onFailure?.(this.#failure);
    }
    return this.#failure;
  }

  /** Returns the fault to throw for an operation that changed nothing: a refusal, unless bytes may be lost. */
  faultOf(reason: unknown): Fault {
    if (this.#failure !== undefined) return this.#failure;
    // A lookup in a sealed segment throws a refusal that is a Fault already.
    if (isRefusal(reason)) return this.refused(reason);
    return troubleOf(reason) === "lost" ? this.failed(reason) : this.refused(diskFault(reason));
  }
}
