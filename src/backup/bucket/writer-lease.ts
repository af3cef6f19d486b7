/**
 * Lets one writer at a time write and delete in a store of backups, and hands on the names of the last backups, because a list may
 * lack them.
 *
 *   no lock ─────────────────────────────────► write it, if there is none          If-None-Match: *
 *   a lock that was released ────────────────► replace it                          If-Match
 *   a lock that changes ─────────────────────► another writer works: Fault "locked"
 *   a lock that is the same for 75 s ────────► its writer is dead: replace this one     If-Match
 *   held ── every 10 s ──► replace it by itself        not renewed for 30 s ──► the writer stops
 *   held ── at the end ──► replace it by one that says that it was released
 *
 * Times are those of this process, so no clocks are compared. A server that ignores conditions is refused. A request that the writer
 * has begun while the lock was valid ends before another writer may begin (confirm).
 */
import { Fault } from "../../fault.ts";
import { fieldsOf } from "../../lib/fields.ts";
import type { Clock, Timer } from "../../lib/time/clock.ts";
import type { ObjectStore } from "../../objects/mod.ts";
import { isBackupName, lockKey } from "./backup-keys.ts";

export interface LeaseTimes {
  readonly renewMs: number;
  readonly validMs: number;
  readonly staleMs: number;
}

const defaultTimes: LeaseTimes = { renewMs: 10_000, validMs: 30_000, staleMs: 75_000 };
const looks = 15;
const lockBytesMax = 4096;
/** Backups that the lock names: more than a writer makes while a list lags. */
const recentMax = 40;
/** Requests end within this share of the time until another writer may begin. The rest is for clocks of different speed. */
const usableShare = 0.8;

export interface LeaseOptions {
  readonly store: ObjectStore;
  /** Different for each writer. */
  readonly id: string;
  /** For people: the node or the command, and its machine. */
  readonly holder: string;
  readonly clock: Clock;
  readonly times?: LeaseTimes | undefined;
  /** Called when it must wait, with the holder of the lock. */
  readonly onWait?: ((holder: string, forMs: number) => void) | undefined;
}

export class WriterLease implements AsyncDisposable {
  readonly #options: LeaseOptions;
  readonly #times: LeaseTimes;
  /** The names of the last backups, the newest first. */
  #recent: readonly string[];
  #tag: string;
  #renewedMs: number;
  #renewals = 0;
  #timer: Timer | undefined;
  #renewing: Promise<void> = Promise.resolve();
  #lost: Fault | undefined;

  private constructor(options: LeaseOptions, tag: string, startedMs: number, recent: readonly string[] = []) {
    this.#options = options;
    this.#recent = recent;
    this.#times = options.times ?? defaultTimes;
    [this.#tag, this.#renewedMs] = [tag, startedMs];
    this.#renewLater();
  }

  /** @throws Fault "locked" if another writer works, "unimplemented" if the server ignores conditions */
  static async acquire(options: LeaseOptions): Promise<WriterLease> {
    const { store, clock, times = defaultTimes } = options;
    let seen: { readonly tag: string; readonly sinceMs: number } | undefined;
    for (;;) {
      const startedMs = clock.monotonicMs();
      const found = await store.readWhole(lockKey, lockBytesMax);
      const { id, isReleased, recent } = lockIn(found?.data);
      const own = contentOf(options, { renewals: 0, recent });
      // The answer to an earlier attempt was lost.
      if (id === options.id && !isReleased) return new WriterLease(options, found!.tag, startedMs, recent);
      if (found === undefined || isReleased) {
        const condition = found === undefined ? { ifAbsent: true as const } : { ifTag: found.tag };
        const tag = await store.put(lockKey, own, condition);
        if (tag !== undefined) {
          await checkConditions(options, own);
          return new WriterLease(options, tag, startedMs, recent);
        }
      } else {
        if (seen !== undefined && seen.tag !== found.tag) throw locked(store, found.data);
        if (seen === undefined) options.onWait?.(holderIn(found.data), times.staleMs);
        // The holder may have renewed it at any time before the answer.
        seen ??= { tag: found.tag, sinceMs: clock.monotonicMs() };
        if (startedMs - seen.sinceMs >= times.staleMs) {
          const tag = await store.put(lockKey, own, { ifTag: found.tag });
          if (tag !== undefined) return new WriterLease(options, tag, startedMs, recent);
        }
      }
      await new Promise<void>((resolve) => clock.after(times.staleMs / looks, resolve, true));
    }
  }

  /** The names of the last backups in this place. A list may lack them, and some may be deleted. */
  get recent(): readonly string[] {
    return this.#recent;
  }

  /** A backup was written. Later writers learn its name. */
  wrote(name: string): void {
    this.#recent = [name, ...this.#recent.filter((one) => one !== name)].slice(0, recentMax);
  }

  /**
   * Returns how long a request that begins now may take, in ms. It is a WriteGuard.
   * @throws Fault "locked" or "unavailable" if another writer may work now
   */
  readonly confirm = (): number => {
    if (this.#lost !== undefined) throw this.#lost;
    const { validMs, staleMs } = this.#times;
    const ageMs = this.#options.clock.monotonicMs() - this.#renewedMs;
    if (ageMs < validMs) return Math.max(validMs, staleMs * usableShare) - ageMs;
    throw new Fault("unavailable", {
      message: `${this.#options.store.url}: the lock could not be renewed in time, and another writer may work now; nothing that it needs was deleted`,
    });
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#renewing;
    try {
      this.confirm();
      const state = { renewals: ++this.#renewals, recent: this.#recent, isReleased: true };
      await this.#options.store.put(lockKey, contentOf(this.#options, state), { ifTag: this.#tag });
    } catch {
      // The next writer finds it unchanged, and replaces it.
    }
    this.#lost ??= new Fault("unavailable", { message: "the lock was released" });
  }

  #renewLater(): void {
    const { clock } = this.#options;
    this.#timer = clock.after(this.#times.renewMs, () => {
      this.#renewing = this.#renew().finally(() => {
        if (this.#timer !== undefined && this.#lost === undefined) this.#renewLater();
      });
    });
  }

  async #renew(): Promise<void> {
    const { store, clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const content = contentOf(this.#options, { renewals: ++this.#renewals, recent: this.#recent });
    try {
      const tag = await store.put(lockKey, content, { ifTag: this.#tag });
      const now = tag === undefined ? await store.readWhole(lockKey, lockBytesMax) : undefined;
      if (tag === undefined && (now === undefined || idIn(now.data) !== this.#options.id)) {
        this.#lost = now === undefined ? locked(store, content) : locked(store, now.data);
        return;
      }
      this.#tag = tag ?? now!.tag;
      this.#renewedMs = startedMs;
    } catch (reason) {
      const fault = Fault.from(reason);
      // What passes is tried again, until the lease ends.
      if (!fault.retry) this.#lost = fault;
    }
  }
}

/** A server that ignores If-None-Match lets two writers write. */
async function checkConditions({ store }: LeaseOptions, own: Uint8Array): Promise<void> {
  if ((await store.put(lockKey, own, { ifAbsent: true })) === undefined) return;
  await store.delete(lockKey);
  throw new Fault("unimplemented", {
    message: `${store.url}: the server ignores conditions (If-None-Match), so two writers could damage each other's backups`,
  });
}

interface LockState {
  readonly renewals: number;
  readonly recent: readonly string[];
  readonly isReleased?: boolean;
}

const contentOf = ({ id, holder }: LeaseOptions, state: LockState): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify({ id, holder: holder.slice(0, 200), ...state })}\n`);

/** What a lock says. One of an earlier version, or one that is damaged, names no backups. */
function lockIn(data: Uint8Array | undefined): {
  readonly id: unknown;
  readonly isReleased: boolean;
  readonly recent: readonly string[];
} {
  const { id, isReleased, recent } = data === undefined ? {} : parsed(data);
  const names = Array.isArray(recent) ? recent : [];
  return {
    id,
    isReleased: isReleased === true,
    recent: names.filter((name) => isBackupName(name)).slice(0, recentMax),
  };
}

function parsed(data: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    return {};
  }
}

const idIn = (data: Uint8Array): unknown => parsed(data)["id"];
const holderIn = (data: Uint8Array): string => String(parsed(data)["holder"] ?? "?").slice(0, 200);

const locked = ({ url }: ObjectStore, data: Uint8Array): Fault =>
  new Fault("locked", {
    message: `another backup is being written to ${url}, by ${holderIn(data)}; try again later`,
  });
