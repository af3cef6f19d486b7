/**
 * The calls in progress, as a list linked through the calls themselves. A Set would grow and shrink with every burst of
 * requests, which cost a unary append 200 bytes of garbage.
 */

/** An element of one list. Only OpenCalls writes these fields. */
export interface Linked<T> {
  previous: T | undefined;
  next: T | undefined;
}

export class OpenCalls<T extends Linked<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds a call that is in no list. */
  add(call: T): void {
    call.previous = this.#last;
    if (this.#last === undefined) this.#first = call;
    else this.#last.next = call;
    this.#last = call;
    this.#size++;
  }

  /** Does nothing for a call that is not in the list. */
  delete(call: T): void {
    const { previous, next } = call;
    if (previous === undefined && this.#first !== call) return;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    call.previous = undefined;
    call.next = undefined;
    this.#size--;
  }

  /** Returns a copy, the oldest call first. */
  all(): T[] {
    const calls: T[] = [];
    for (let call = this.#first; call !== undefined; call = call.next) calls.push(call);
    return calls;
  }
}
