/**
 * The calls under way. A list through the calls themselves: a set would be made larger and smaller with every burst of
 * requests, which cost a unary append 200 bytes of garbage. Pure.
 */

/** Has a place in one list. Only OpenCalls writes it. */
export interface Listed<T> {
  before: T | undefined;
  behind: T | undefined;
}

export class OpenCalls<T extends Listed<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** `call` is in no list. */
  add(call: T): void {
    call.before = this.#last;
    if (this.#last === undefined) this.#first = call;
    else this.#last.behind = call;
    this.#last = call;
    this.#size++;
  }

  /** Does nothing for a call that is not in the list. */
  delete(call: T): void {
    const { before, behind } = call;
    if (before === undefined && this.#first !== call) return;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    call.before = undefined;
    call.behind = undefined;
    this.#size--;
  }

  /** All of them now, the oldest first. */
  all(): T[] {
    const calls: T[] = [];
    for (let call = this.#first; call !== undefined; call = call.behind) calls.push(call);
    return calls;
  }
}
