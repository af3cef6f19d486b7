/**
 * Decides whether this node's wall clock can be trusted. Pure.
 *
 *   trusted   a majority of the voters shows the same time within 10 s. Clocks that were set within the hour do not count.
 *             If this clock was set, nodes that started within the hour with an empty log do not count either: nothing
 *             shows whether their clocks were set before they started.
 *             The only voter: its clock was not set within the hour.
 *   off       more than half of the other voters show another time
 *   set       the clock moved by more than a minute against the monotonic clock, and no majority confirms it yet
 *   ahead     at the start, the clock was more than an hour ahead of the newest record, and no majority confirms it: the
 *             node was down, or its clock is wrong. Lasts for an hour.
 *   alone     the only voter left of several, which had not confirmed its clock. Lasts for an hour.
 *   unknown   not compared yet
 *
 * Records expire by age only while the clock is trusted. `successors` are the voters that should lead instead: those
 * whose clock a majority confirms or, without a majority, those whose clock was not set when this node's clock was.
 * Without a successor the node continues to lead: a log with uncertain times is better than no log.
 *
 * Expiry uses the timestamps of records, so a record with a timestamp that is too early would expire too early once the
 * clock is trusted again. While the clock is not trusted, a timestamp is therefore not before the time that the clock
 * would show without the leaps of the last hour, and not more than 10 s before the time that a majority shows.
 *
 * Not detected: a majority that is wrong in the same way for more than an hour, and a clock that is wrong from the start
 * on a node without peers. A leader that was restarted after its clock was set forward, and does not know another clock
 * yet, stamps records by its own: producers can expire early, records cannot.
 */
import { ClockLeaps, type Leap, leapHoldMs, type Moment } from "../../lib/time/clock-leap.ts";
import { PeerClocks } from "./peer-clocks.ts";

const offMsMax = 10_000;
/** The limit for a clock that is off: a lower one, so that the status does not alternate around the limit. */
const offAgainMsMax = 8_000;
/** A timestamp is at most this far ahead of the clocks of the others, and at most this far behind a majority. */
const stampOffMsMax = 10_000;
const gapMsMax = 3_600_000;

export interface ClockStatus {
  readonly kind: "trusted" | "off" | "set" | "ahead" | "alone" | "unknown";
  /** The names of the voters that should lead instead. */
  readonly successors: readonly string[];
  /** For "set", "ahead" and "alone": the difference, and the time until this status ends. */
  readonly byMs?: number;
  readonly leftMs?: number;
  /** How far the other voters' clocks are ahead of this one, by name, if known. */
  readonly offMs: Readonly<Record<string, number>>;
}

interface Doubt extends Leap {
  readonly kind: "set" | "ahead" | "alone";
}

export class ClockTrust {
  readonly peers = new PeerClocks();
  readonly #own = new ClockLeaps();
  #others: readonly string[] = [];
  /** Why this clock is not trusted without a majority, besides an observed leap. */
  #doubt: Doubt | undefined;
  /** The start of this process on the monotonic clock, if its log was empty. */
  #emptyAtMs: number | undefined;
  /** At the start: the time that the clock would show without the leaps that the previous process stored. */
  #startWithoutLeaps: Moment | undefined;
  #wasOff = false;

  /** Sets the other voters, by name. Empty for the only voter, and if they are unknown. */
  compareWith(names: readonly string[], now: Moment): void {
    if (names.length === 0 && this.#others.length > 0 && this.status(now).kind !== "trusted")
      this.#doubt = { kind: "alone", byMs: 0, atMs: now.monotonicMs };
    this.#others = names;
  }

  /** By how much this node itself observed its clock being set within the last hour. Undefined if it was not. */
  setByMs({ monotonicMs }: Moment): number | undefined {
    return this.#doubtedStatus(monotonicMs)?.byMs;
  }

  /** Returns true if this node started within the hour with an empty log: it cannot confirm a clock that was set. */
  isFresh({ monotonicMs }: Moment): boolean {
    return this.#emptyAtMs !== undefined && monotonicMs - this.#emptyAtMs < leapHoldMs;
  }

  /** The time that the clock would show without its leaps of the last hour. Undefined if no leap is known. */
  withoutLeapsMs({ monotonicMs }: Moment): number | undefined {
    const start = this.#startWithoutLeaps;
    if (start !== undefined && monotonicMs - start.monotonicMs < leapHoldMs)
      return start.wallMs + (monotonicMs - start.monotonicMs);
    return this.#own.withoutLeapsMs(monotonicMs, leapHoldMs);
  }

  /**
   * Called once, at the start. `newestMs` is the timestamp at the end of the log, 0 for an empty one. `setByMs` is by how
   * much the clock was set within the hour before the previous process ended. `withoutLeapsMs` is the time that the clock
   * would have shown without that when the leap was stored; it may have been any time before this start.
   */
  begin(newestMs: number, setByMs: number | undefined, now: Moment, withoutLeapsMs?: number): void {
    this.#own.look(now);
    const atMs = now.monotonicMs;
    if (newestMs === 0) this.#emptyAtMs = atMs;
    const byMs = now.wallMs - newestMs;
    if (setByMs !== undefined && withoutLeapsMs !== undefined)
      this.#startWithoutLeaps = { wallMs: withoutLeapsMs, monotonicMs: atMs };
    if (setByMs !== undefined) this.#doubt = { kind: "set", byMs: setByMs, atMs };
    else if (newestMs > 0 && byMs > gapMsMax) this.#doubt = { kind: "ahead", byMs, atMs };
  }

  status(now: Moment): ClockStatus {
    this.#own.look(now);
    const status = this.#others.length === 0 ? this.#statusAlone(now) : this.#statusAmongVoters(now);
    this.#wasOff = status.kind === "off";
    return status;
  }

  /** The timestamp of a record made now, before it is raised to that of the previous record. */
  stampMs(now: Moment): number {
    this.#own.look(now);
    const steady = this.#others.filter((peer) => this.peers.steady(peer, now.monotonicMs));
    const shown = this.#shown(steady, now);
    const ownMs = this.#stampByOwnMs(now);
    if (shown.length === 0 || shown.length + 1 < this.#quorum) return this.#stampAmongDoubtsMs(ownMs, now);
    const latestMs = middleOf(shown) + stampOffMsMax;
    // The time that a majority shows at least. This clock does not count: it matters only if it shows less.
    const earliestMs = (shown.at(-this.#quorum) ?? Number.NEGATIVE_INFINITY) - stampOffMsMax;
    return Math.max(0, Math.floor(Math.min(Math.max(ownMs, earliestMs), latestMs)));
  }

  /** The time of this clock, or the time without its leaps if that is later and the clock is not trusted. */
  #stampByOwnMs(now: Moment): number {
    const { wallMs } = now;
    const withoutLeapsMs = this.withoutLeapsMs(now);
    if (withoutLeapsMs === undefined || withoutLeapsMs <= wallMs) return wallMs;
    return this.status(now).kind === "trusted" ? wallMs : Math.floor(withoutLeapsMs);
  }

  /**
   * The timestamp when too few clocks are known that did not leap. If this clock leapt forward and most others contradict
   * it, they still limit the timestamp, but not to before the time that this clock would show without its leaps.
   */
  #stampAmongDoubtsMs(ownMs: number, now: Moment): number {
    const withoutLeapsMs = this.withoutLeapsMs(now);
    if (withoutLeapsMs === undefined || withoutLeapsMs >= ownMs || this.status(now).kind !== "off")
      return ownMs;
    const othersMs = middleOf(this.#shown(this.#others, now)) + stampOffMsMax;
    return Math.floor(Math.min(ownMs, Math.max(othersMs, withoutLeapsMs)));
  }

  /** The times that the clocks of these voters show, if known, earliest first. */
  #shown(names: readonly string[], now: Moment): number[] {
    const shown = names.map((name) => this.peers.wallMs(name, now.monotonicMs));
    return shown.filter((wallMs) => wallMs !== undefined).sort((a, b) => a - b);
  }

  #statusAlone({ monotonicMs }: Moment): ClockStatus {
    return this.#doubtedStatus(monotonicMs) ?? { kind: "trusted", successors: [], offMs: {} };
  }

  #statusAmongVoters(now: Moment): ClockStatus {
    const boundMs = this.#wasOff ? offAgainMsMax : offMsMax;
    const known = this.#others.flatMap((name) => {
      const wallMs = this.peers.wallMs(name, now.monotonicMs);
      if (wallMs === undefined) return [];
      return [
        { name, wallMs, steady: this.peers.steady(name, now.monotonicMs), fresh: this.peers.fresh(name) },
      ];
    });
    const leap = this.#own.recent(now.monotonicMs, leapHoldMs);
    const steadyNow = this.setByMs(now) === undefined;
    const own = { name: undefined, wallMs: now.wallMs, steady: steadyNow, fresh: this.isFresh(now) };
    const agree = (a: number, b: number): boolean => Math.abs(a - b) <= boundMs;
    const isConfirmed = (one: (typeof known)[number] | typeof own): boolean => {
      const mayConfirm = ({ name, steady, fresh }: typeof one): boolean =>
        name !== one.name && steady && (one.steady || !fresh);
      const others = [own, ...known].filter(mayConfirm);
      return 1 + others.filter(({ wallMs }) => agree(wallMs, one.wallMs)).length >= this.#quorum;
    };
    const offMs = Object.fromEntries(
      known.map(({ name, wallMs }) => [name, Math.round(wallMs - now.wallMs)]),
    );
    if (isConfirmed(own)) return { kind: "trusted", successors: [], offMs };
    const off = known.filter(({ wallMs }) => !agree(wallMs, now.wallMs));
    // A clock that was not read since this node's clock was set may have been set as well.
    const sinceMs = leap?.atMs ?? Number.NEGATIVE_INFINITY;
    const steady = off.filter((one) => one.steady && this.peers.hasReadingSince(one.name, sinceMs));
    const confirmed = steady.filter(isConfirmed);
    const better = confirmed.length > 0 || leap === undefined ? confirmed : steady;
    const successors = better.map(({ name }) => name);
    if (off.length * 2 > this.#others.length) return { kind: "off", successors, offMs };
    return { ...(this.#doubtedStatus(now.monotonicMs) ?? { kind: "unknown" }), successors, offMs };
  }

  /** The status of a clock that is not trusted without a majority, if so. */
  #doubtedStatus(nowMs: number): ClockStatus | undefined {
    const leap = this.#own.recent(nowMs, leapHoldMs);
    if (leap !== undefined) return doubtedStatus("set", leap, nowMs);
    const doubt = this.#doubt;
    return doubt === undefined || nowMs - doubt.atMs >= leapHoldMs
      ? undefined
      : doubtedStatus(doubt.kind, doubt, nowMs);
  }

  get #quorum(): number {
    return Math.floor((this.#others.length + 1) / 2) + 1;
  }
}

/** The median. Of two, the later one: a single clock that is behind does not hold back the log's time. */
const middleOf = (shown: readonly number[]): number => shown[shown.length >> 1] as number;

function doubtedStatus(kind: Doubt["kind"], { byMs, atMs }: Leap, nowMs: number): ClockStatus {
  return { kind, successors: [], byMs: Math.round(byMs), leftMs: leapHoldMs - (nowMs - atMs), offMs: {} };
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const signed = (ms: number): string => `${ms < 0 ? "" : "+"}${seconds(ms)}`;

/** Describes the problem of a clock, with figures. Undefined for a clock without a known problem. */
export function clockProblem({ kind, byMs = 0, leftMs = 0, offMs }: ClockStatus): string | undefined {
  const until = `nothing expires by age for another ${seconds(leftMs)}`;
  switch (kind) {
    case "off": {
      const clocks = Object.entries(offMs).map(([name, ms]) => `${name} ${signed(ms)}`);
      return `the clock is more than ${seconds(offMsMax)} off most other voters (${clocks.join(", ")}): nothing expires by age`;
    }
    case "set":
      return `the wall clock moved by ${signed(byMs)} against the monotonic clock: ${until} or until a majority confirms it`;
    case "ahead":
      return `the clock is ${seconds(byMs)} ahead of the newest record (the node was down, or its clock is wrong): ${until}`;
    case "alone":
      return `no other voter is left, and none confirmed the clock before: ${until}`;
    default:
      return undefined;
  }
}
