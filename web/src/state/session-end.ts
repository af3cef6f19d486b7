/** When the session of this browser ends, and how to log in again. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { type LoginOptions, loginOptions } from "../io/session.ts";
import { monotonicMs } from "../io/timing.ts";

/** The user is told so long before the end, in ms. */
const noticeMs = 300_000;
/** Another tab may have logged in again: in this time the node is asked this often, in ms. */
const askMs = 30_000;

export class SessionEnd {
  readonly options = signal<LoginOptions | undefined>(undefined);
  /** The session ends within minutes. */
  readonly isNear: ReadonlySignal<boolean>;
  #askedMs = 0;

  /** `now` is the time by the clock of the browser, which ticks each second. */
  constructor(now: ReadonlySignal<number>) {
    this.isNear = computed(() => {
      const leftMs = (this.options.value?.endsMs ?? 0) - now.value;
      return leftMs > 0 && leftMs <= noticeMs;
    });
  }

  /** Asks the node. What was known before is kept if it does not answer. */
  async refresh(): Promise<void> {
    this.#askedMs = monotonicMs();
    this.options.value = (await loginOptions()) ?? this.options.peek();
  }

  /** To be called each second. */
  tick(): void {
    if (this.isNear.peek() && monotonicMs() - this.#askedMs >= askMs) void this.refresh();
  }
}
