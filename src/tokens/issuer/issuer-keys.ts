/**
 * The public keys of another issuer: a JWK Set (RFC 7517), loaded when the first token needs it, and again
 *
 *   - every 10 minutes, so that a key that the issuer removed does not count any longer
 *   - for a key id that is not in it, so that a new key counts at once
 *   - when its source reports a change (reload())
 *
 * There is one load at a time, and none within 10 s after the last one, whatever it is for: tokens with made-up key ids cause no flood
 * of requests to the issuer. While it cannot be loaded, the keys of the last load count for a day.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import { type IssuerKey, parseKeySet } from "./key-set.ts";

export interface IssuerKeysOptions {
  /** Resolves to the text of the JWK Set. It has a limit of time and size. */
  readonly load: () => Promise<string>;
  /** Called after the keys have changed. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The time from the end of a load to the next one. */
export const cooldownMs = 10_000;
const refreshMs = 600_000;
const retryMs = 60_000;
/** How long keys count that could not be loaded again. */
export const staleMsMax = 24 * 3_600_000;

export class IssuerKeys implements Disposable {
  readonly #options: IssuerKeysOptions;
  #keys: ReadonlyMap<string, IssuerKey> = new Map();
  #version = 0;
  #loading: Promise<void> | undefined;
  /** On the monotonic clock: the end of the last load, and of the last one that succeeded. */
  #endedMs = Number.NEGATIVE_INFINITY;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #failure: Fault | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /** Grows with each change of the keys. */
  get version(): number {
    return this.#version;
  }

  /** Returns whether the key is still one of the issuer. */
  has(key: IssuerKey): boolean {
    return this.#keys.get(key.id) === key;
  }

  /**
   * Resolves to the key with this id; undefined if the issuer has none.
   * @throws Fault "unavailable" while the keys cannot be loaded
   */
  async find(id: string): Promise<IssuerKey | undefined> {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    const isCooling = this.#options.clock.monotonicMs() < this.#endedMs + cooldownMs;
    if (this.#loading !== undefined || !isCooling) await this.reload();
    if (this.#keys.size === 0 && this.#failure !== undefined) throw this.#failure;
    return this.#keys.get(id);
  }

  /** Resolves once the keys were loaded, or could not be; see `failure`. */
  reload(): Promise<void> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** Why the last load failed. */
  get failure(): Fault | undefined {
    return this.#failure;
  }

  async #load(): Promise<void> {
    const { load, clock, logger } = this.#options;
    this.#timer?.cancel();
    try {
      const keys = parseKeySet(await load());
      this.#failure = undefined;
      this.#loadedMs = clock.monotonicMs();
      this.#replace(keys);
    } catch (reason) {
      const message = `the keys of the issuer of tokens cannot be loaded: ${Fault.from(reason).message}`;
      this.#failure = new Fault("unavailable", { message, cause: reason });
      logger.warn({ err: this.#failure, keys: this.#keys.size }, "the keys of the issuer cannot be loaded");
      if (clock.monotonicMs() > this.#loadedMs + staleMsMax) this.#replace(new Map());
    }
    this.#endedMs = clock.monotonicMs();
    if (!this.#closed)
      this.#timer = clock.after(this.#failure === undefined ? refreshMs : retryMs, () => void this.reload());
  }

  /** A key that did not change stays the same object, so the tokens that it signed stay valid. */
  #replace(keys: ReadonlyMap<string, IssuerKey>): void {
    const merged = new Map<string, IssuerKey>();
    let isChanged = keys.size !== this.#keys.size;
    for (const [id, key] of keys) {
      const before = this.#keys.get(id);
      const isSame = before !== undefined && before.text === key.text;
      merged.set(id, isSame ? before : key);
      isChanged ||= !isSame;
    }
    if (!isChanged) return;
    this.#keys = merged;
    this.#version++;
    this.#options.onChange();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
  }
}
