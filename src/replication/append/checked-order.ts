/**
 * The appends to `default` that state a life of the cluster, which must be confirmed before the append. In a stream, the appends
 * to `default` behind one that waits are not sent before it, also if they state no life. If the life is refused, they fail. Pure.
 */
import type { AppendOrder } from "../../types.ts";
import { failedBefore } from "./retry-decision.ts";

export class CheckedOrder {
  /** The last check of a stream. It stays if it failed. */
  readonly #last = new WeakMap<AppendOrder, Promise<unknown>>();

  /** Returns true if an append of the stream waits for its check, or was refused. */
  isWaiting(order: AppendOrder | undefined): boolean {
    return order !== undefined && this.#last.has(order);
  }

  /**
   * Calls `append` once `check` and all checks of the stream before it have succeeded.
   * @throws what `check` and `append` reject with; Fault "unavailable" if a check before it failed
   */
  async append<T>(
    order: AppendOrder | undefined,
    check: () => Promise<void>,
    append: () => Promise<T>,
  ): Promise<T> {
    if (order === undefined) {
      await check();
      return append();
    }
    const before = this.#last.get(order)?.catch((reason) => Promise.reject(failedBefore(reason)));
    const checked = Promise.all([before, check()]);
    this.#last.set(order, checked);
    await checked;
    if (this.#last.get(order) === checked) this.#last.delete(order);
    return append();
  }
}
