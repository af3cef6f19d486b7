/**
 * Divides a limit among those who use it, so that one of them cannot take the room of the others. Pure.
 *
 *   all ─ half of what the others leave ─► a log, and a subject ─ half of what its other logs leave ─► the subject in one log
 *
 * n logs that want more than they get have 1/(n+1) of the limit each, and 1/(n+1) stays free for a log that used nothing.
 * The same is true of subjects, and of the logs of one subject. These are dynamic thresholds (Choudhury and Hahne, "Dynamic
 * queue length thresholds for shared-memory packet switches", 1998).
 */

export interface ShareLimits {
  /** Bytes of all together. One user may take more if nothing else is used. */
  readonly bytesMax: number;
  readonly countMax: number;
  /** Whether all logs of a subject together have a share of their own, instead of one for each log. Default true. */
  readonly bySubject?: boolean;
}

/** Who uses the room. */
export interface ShareOwner {
  /** The name of a log. Undefined: `default`. */
  readonly log: string | undefined;
  /** Undefined: this node itself. */
  readonly subject: string | undefined;
}

/** What is used. */
interface Usage {
  bytes: number;
  count: number;
}

/** The use of one subject in one log. Valid until its last byte is released. */
export interface Share {
  readonly key: string;
  readonly owner: ShareOwner;
  readonly own: Usage;
  readonly log: Usage;
  readonly subject: Usage;
}

export class FairShares {
  readonly #limits: ShareLimits;
  readonly #all: Usage = { bytes: 0, count: 0 };
  readonly #logs = new Map<string | undefined, Usage>();
  readonly #subjects = new Map<string | undefined, Usage>();
  readonly #shares = new Map<string, Share>();
  /** The share that was asked for last: often the same again. */
  #last: Share | undefined;

  constructor(limits: ShareLimits) {
    this.#limits = limits;
  }

  /** What all use together. */
  get used(): Readonly<Usage> {
    return this.#all;
  }

  /** What this subject uses in this log. */
  usedBy(owner: ShareOwner): Readonly<Usage> {
    return this.#find(owner)?.own ?? { bytes: 0, count: 0 };
  }

  /** Returns true if this owner may use so many bytes more, as one unit. */
  hasRoom(owner: ShareOwner, bytes: number): boolean {
    const all = this.#all;
    if (all.count === 0) return true;
    const share = this.#find(owner);
    const log = share?.log ?? this.#logs.get(owner.log) ?? unused;
    const subject = share?.subject ?? this.#subjects.get(owner.subject) ?? unused;
    const own = share?.own ?? unused;
    const { bytesMax, countMax, bySubject = true } = this.#limits;
    const parts = bySubject ? 2 : 1;
    return (
      fits(all.bytes, log.bytes, subject.bytes, own.bytes, bytes, bytesMax, parts) &&
      fits(all.count, log.count, subject.count, own.count, 1, countMax, parts)
    );
  }

  /** Uses the room of one unit, whether it is there or not. */
  take(owner: ShareOwner, bytes: number): Share {
    const share = this.#find(owner) ?? this.#create(owner);
    this.#change(share, bytes, 1);
    return share;
  }

  /** Releases `count` units of this share. */
  release(share: Share, bytes: number, count: number): void {
    this.#change(share, -bytes, -count);
    if (share.own.count > 0) return;
    this.#shares.delete(share.key);
    if (this.#last === share) this.#last = undefined;
    if (share.log.count === 0) this.#logs.delete(share.owner.log);
    if (share.subject.count === 0) this.#subjects.delete(share.owner.subject);
  }

  #change(share: Share, bytes: number, count: number): void {
    for (const usage of [this.#all, share.log, share.subject, share.own]) {
      usage.bytes += bytes;
      usage.count += count;
    }
  }

  #find(owner: ShareOwner): Share | undefined {
    const last = this.#last;
    if (last !== undefined && last.owner.log === owner.log && last.owner.subject === owner.subject)
      return last;
    const found = this.#shares.get(keyOf(owner));
    if (found !== undefined) this.#last = found;
    return found;
  }

  #create({ log, subject }: ShareOwner): Share {
    const owner = { log, subject };
    const share: Share = {
      key: keyOf(owner),
      owner,
      own: { bytes: 0, count: 0 },
      log: usageOf(this.#logs, log),
      subject: usageOf(this.#subjects, subject),
    };
    this.#shares.set(share.key, share);
    this.#last = share;
    return share;
  }
}

const unused: Readonly<Usage> = { bytes: 0, count: 0 };

/** Names of logs and subjects hold no line break. */
const keyOf = ({ log, subject }: ShareOwner): string => `${subject ?? "\n"}\n${log ?? ""}`;

function usageOf(map: Map<string | undefined, Usage>, key: string | undefined): Usage {
  const known = map.get(key);
  if (known !== undefined) return known;
  const usage = { bytes: 0, count: 0 };
  map.set(key, usage);
  return usage;
}

/** Returns true if the log, the subject, and the subject in the log stay within their shares of `max`. */
function fits(
  all: number,
  log: number,
  subject: number,
  own: number,
  more: number,
  max: number,
  parts: number,
): boolean {
  const subjectMax = (max - (all - subject)) / parts;
  return (
    all + more <= max &&
    2 * (log + more) <= max - (all - log) &&
    subject + more <= subjectMax &&
    2 * (own + more) <= subjectMax - (subject - own)
  );
}
