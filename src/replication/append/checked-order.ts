/**
 * The appends to `default` that state a life of the cluster, which must be confirmed before the append. In a stream, the appends
 * to `default` behind one that waits are not sent before it, also if they state no life. If the life is refused, they fail. Pure.
 */
import type { AppendOrder } from "../../types.ts";
import { failedBefore } from "./retry-decision.ts";

export class CheckedOrder {
  /** The last check of a stream and all before it. It stays if one failed, with the reason of the first that did. */
  readonly #last = new WeakMap<AppendOrder, Promise<void>>();

  /** Returns true if an append of the stream waits for its check, or was refused. */
  isWaiting(order: AppendOrder | undefined): boolean {
    return order !== undefined && this.#last.has(order);
  }

  /**
   * Calls `append` once `check` and all checks of the stream before it have succeeded.
   * @throws what `check` and `append` reject with; Fault "unavailable" if a check before it failed, with the first reason as its
   *   cause
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
    const before = this.#last.get(order);
    const checking = check();
    // If a check before it fails, that is the reason.
    checking.catch(() => undefined);
    let isFirst = false;
    const checked = Promise.resolve(before).then(() => {
      isFirst = true;
      return checking;
    });
    this.#last.set(order, checked);
    await checked.catch((reason) => Promise.reject(isFirst ? reason : failedBefore(reason)));
    if (this.#last.get(order) === checked) this.#last.delete(order);
    return append();
  }
}
