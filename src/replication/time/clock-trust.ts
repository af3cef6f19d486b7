/**
 * May this node's wall clock decide anything? Pure.
 *
 *   trusted   a majority of the voters shows the same time within 10 s, clocks that were set within the hour left out.
 *             If this clock was set, nodes that started within the hour with an empty log are left out, too: nothing
 *             shows whether their clocks were set before they started.
 *             A node that is the only voter: its clock was not set within the hour.
 *   off       more than half of the other voters show another time
 *   set       the clock moved by more than a minute against the monotonic clock, and no majority confirms it yet
 *   ahead     at the start, the clock was more than an hour ahead of the newest record: the node was down, or its clock
 *             is wrong, and no majority confirms it. For an hour.
 *   alone     an only voter that was one of several, which did not confirm its clock. For an hour.
 *   unknown   not compared yet
 *
 * Only a trusted clock lets anything expire by age. `successors` are the voters that are in a better position to lead:
 * whose clock a majority confirms, or, where there is no majority, whose clock was not set when this node's was. Without
 * a successor the node leads on: a log with doubtful times is better than none.
 *
 * Expiry goes by the stamps of records, so a stamp that is too early makes a record expire too early once the clock is
 * trusted again. While the clock is not trusted, a record is therefore stamped no earlier than the clock would show
 * without the leaps of the last hour, and never more than 10 s before what a majority shows.
 *
 * What this cannot see: a majority that is wrong in the same way for more than an hour, and a clock that is wrong from
 * the start on a node without peers.
 */
import { ClockLeaps, type Leap, leapHoldMs, type Moment } from "../../lib/time/clock-leap.ts";
import { PeerClocks } from "./peer-clocks.ts";

const offMsMax = 10_000;
/** Once a clock is off, it has to come closer, or it would be off and right again by turns. */
const offAgainMsMax = 8_000;
/** A record is stamped at most this far ahead of the clocks of the others, and at most this far behind a majority. */
const stampOffMsMax = 10_000;
const gapMsMax = 3_600_000;

export interface ClockStatus {
  readonly kind: "trusted" | "off" | "set" | "ahead" | "alone" | "unknown";
  /** By name. */
  readonly successors: readonly string[];
  /** For "set", "ahead" and "alone": by how much, and for how much longer it counts. */
  readonly byMs?: number;
  readonly leftMs?: number;
  /** How far the other voters' clocks are ahead of this one, where that is known. */
  readonly offMs: Readonly<Record<string, number>>;
}

interface Doubt extends Leap {
  readonly kind: "set" | "ahead" | "alone";
}

export class ClockTrust {
  readonly peers = new PeerClocks();
  readonly #own = new ClockLeaps();
  #others: readonly string[] = [];
  /** Why this clock alone is not believed, besides a leap of its own. */
  #doubt: Doubt | undefined;
  /** Start of this process on the monotonic clock, if its log was empty. */
  #emptyAtMs: number | undefined;
  /** At the start: what the clock would show without the leaps that the last process noted. */
  #begun: Moment | undefined;
  #wasOff = false;

  /** The other voters from now on, by name; none for an only voter, and where the network does not tell. */
  compareWith(names: readonly string[], now: Moment): void {
    if (names.length === 0 && this.#others.length > 0 && this.status(now).kind !== "trusted")
      this.#doubt = { kind: "alone", byMs: 0, atMs: now.monotonicMs };
    this.#others = names;
  }

  /** What the clock was set by within the last hour, as far as this node knows by itself; undefined: it was not. */
  setByMs({ monotonicMs }: Moment): number | undefined {
    return this.#held(monotonicMs)?.byMs;
  }

  /** Returns true if this node started within the hour with an empty log: it cannot confirm a clock that was set. */
  isFresh({ monotonicMs }: Moment): boolean {
    return this.#emptyAtMs !== undefined && monotonicMs - this.#emptyAtMs < leapHoldMs;
  }

  /** What the clock would show without its leaps of the last hour. Undefined: none is known. */
  withoutLeapsMs({ monotonicMs }: Moment): number | undefined {
    const begun = this.#begun;
    if (begun !== undefined && monotonicMs - begun.monotonicMs < leapHoldMs)
      return begun.wallMs + (monotonicMs - begun.monotonicMs);
    return this.#own.withoutLeapsMs(monotonicMs, leapHoldMs);
  }

  /**
   * Once, at the start. `newestMs` is the timestamp at the end of the log, 0 for an empty one; `setByMs` is what the
   * clock had leapt by, within the hour before the last process ended; `withoutLeapsMs` is what it would have shown
   * without that when the leap was noted: at least as much time has passed since.
   */
  begin(newestMs: number, setByMs: number | undefined, now: Moment, withoutLeapsMs?: number): void {
    this.#own.look(now);
    const atMs = now.monotonicMs;
    if (newestMs === 0) this.#emptyAtMs = atMs;
    const byMs = now.wallMs - newestMs;
    if (setByMs !== undefined && withoutLeapsMs !== undefined)
      this.#begun = { wallMs: withoutLeapsMs, monotonicMs: atMs };
    if (setByMs !== undefined) this.#doubt = { kind: "set", byMs: setByMs, atMs };
    else if (newestMs > 0 && byMs > gapMsMax) this.#doubt = { kind: "ahead", byMs, atMs };
  }

  status(now: Moment): ClockStatus {
    this.#own.look(now);
    const verdict = this.#others.length === 0 ? this.#alone(now) : this.#together(now);
    this.#wasOff = verdict.kind === "off";
    return verdict;
  }

  /** What a record made now is stamped with, before it is raised to the stamp of the record before it. */
  stampMs(now: Moment): number {
    this.#own.look(now);
    const steady = this.#others.filter((peer) => this.peers.steady(peer, now.monotonicMs));
    const shown = this.#shown(steady, now);
    const ownMs = this.#stampByOwnMs(now);
    if (shown.length === 0 || shown.length + 1 < this.#quorum) return this.#stampAmongDoubtsMs(ownMs, now);
    const latestMs = middleOf(shown) + stampOffMsMax;
    // What a majority shows at least. This clock is not counted: it matters only where it shows less.
    const earliestMs = (shown.at(-this.#quorum) ?? Number.NEGATIVE_INFINITY) - stampOffMsMax;
    return Math.max(0, Math.floor(Math.min(Math.max(ownMs, earliestMs), latestMs)));
  }

  /** This clock, or what it would show without its leaps, if that is later and the clock is not trusted. */
  #stampByOwnMs(now: Moment): number {
    const { wallMs } = now;
    const withoutLeapsMs = this.withoutLeapsMs(now);
    if (withoutLeapsMs === undefined || withoutLeapsMs <= wallMs) return wallMs;
    return this.status(now).kind === "trusted" ? wallMs : Math.floor(withoutLeapsMs);
  }

  /**
   * Too few clocks are known that did not leap. If this one leapt forward and most others contradict it, theirs limit
   * the stamp all the same, but not to before what this clock would show without its leaps.
   */
  #stampAmongDoubtsMs(ownMs: number, now: Moment): number {
    const withoutLeapsMs = this.withoutLeapsMs(now);
    if (withoutLeapsMs === undefined || withoutLeapsMs >= ownMs || this.status(now).kind !== "off")
      return ownMs;
    const othersMs = middleOf(this.#shown(this.#others, now)) + stampOffMsMax;
    return Math.floor(Math.min(ownMs, Math.max(othersMs, withoutLeapsMs)));
  }

  /** What the clocks of these show, where it is known, earliest first. */
  #shown(names: readonly string[], now: Moment): number[] {
    const shown = names.map((name) => this.peers.wallMs(name, now.monotonicMs));
    return shown.filter((wallMs) => wallMs !== undefined).sort((a, b) => a - b);
  }

  #alone({ monotonicMs }: Moment): ClockStatus {
    return this.#held(monotonicMs) ?? { kind: "trusted", successors: [], offMs: {} };
  }

  #together(now: Moment): ClockStatus {
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
    // One that was not heard of since this node's clock was set may have been set as well.
    const sinceMs = leap?.atMs ?? Number.NEGATIVE_INFINITY;
    const steady = off.filter((one) => one.steady && this.peers.heardSince(one.name, sinceMs));
    const confirmed = steady.filter(isConfirmed);
    const better = confirmed.length > 0 || leap === undefined ? confirmed : steady;
    const successors = better.map(({ name }) => name);
    if (off.length * 2 > this.#others.length) return { kind: "off", successors, offMs };
    return { ...(this.#held(now.monotonicMs) ?? { kind: "unknown" }), successors, offMs };
  }

  /** Why this clock alone is not believed, if so. */
  #held(nowMs: number): ClockStatus | undefined {
    const leap = this.#own.recent(nowMs, leapHoldMs);
    if (leap !== undefined) return held("set", leap, nowMs);
    const doubt = this.#doubt;
    return doubt === undefined || nowMs - doubt.atMs >= leapHoldMs
      ? undefined
      : held(doubt.kind, doubt, nowMs);
  }

  get #quorum(): number {
    return Math.floor((this.#others.length + 1) / 2) + 1;
  }
}

/** Of two, the later one: a single clock that is behind does not hold back the log's time. */
const middleOf = (shown: readonly number[]): number => shown[shown.length >> 1] as number;

function held(kind: Doubt["kind"], { byMs, atMs }: Leap, nowMs: number): ClockStatus {
  return { kind, successors: [], byMs: Math.round(byMs), leftMs: leapHoldMs - (nowMs - atMs), offMs: {} };
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
const signed = (ms: number): string => `${ms < 0 ? "" : "+"}${seconds(ms)}`;

/** What is wrong, with the figures; undefined for a clock of which nothing is known to be wrong. */
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
