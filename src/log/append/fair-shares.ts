/**
 * Divides a limit among those who use it, so that one of them cannot take the room of the others. Pure.
 *
 *   all ─ half of what the others leave ─► a log, and a subject ─ half of what its other logs leave ─► the subject in one log
 *
 * n logs that need more than they get have 1/(n+1) of the limit each, and 1/(n+1) stays free for a log that used nothing.
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

interface SubjectUsage extends Usage {
  /** By log. */
  readonly shares: Map<string | undefined, Share>;
}

/** The use of one subject in one log. Valid until its last byte is released. */
export interface Share {
  readonly owner: ShareOwner;
  readonly own: Usage;
  readonly log: Usage;
  readonly subject: SubjectUsage;
}

export class FairShares {
  readonly #limits: ShareLimits;
  readonly #all: Usage = { bytes: 0, count: 0 };
  readonly #logs = new Map<string | undefined, Usage>();
  readonly #subjects = new Map<string | undefined, SubjectUsage>();
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
    const uses = { all, log, subject, own };
    return fits(uses, "bytes", bytes, bytesMax, parts) && fits(uses, "count", 1, countMax, parts);
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
    const { owner, log, subject } = share;
    if (this.#last === share) this.#last = undefined;
    if (log.count === 0) this.#logs.delete(owner.log);
    if (subject.count === 0) this.#subjects.delete(owner.subject);
    else subject.shares.delete(owner.log);
  }

  #change({ log, subject, own }: Share, bytes: number, count: number): void {
    add(this.#all, bytes, count);
    add(log, bytes, count);
    add(subject, bytes, count);
    add(own, bytes, count);
  }

  #find(owner: ShareOwner): Share | undefined {
    const last = this.#last;
    if (last !== undefined && last.owner.log === owner.log && last.owner.subject === owner.subject)
      return last;
    const found = this.#subjects.get(owner.subject)?.shares.get(owner.log);
    if (found !== undefined) this.#last = found;
    return found;
  }

  #create(owner: ShareOwner): Share {
    const { log, subject } = owner;
    let ofLog = this.#logs.get(log);
    if (ofLog === undefined) {
      ofLog = { bytes: 0, count: 0 };
      this.#logs.set(log, ofLog);
    }
    let ofSubject = this.#subjects.get(subject);
    if (ofSubject === undefined) {
      ofSubject = { bytes: 0, count: 0, shares: new Map() };
      this.#subjects.set(subject, ofSubject);
    }
    const share = { owner, own: { bytes: 0, count: 0 }, log: ofLog, subject: ofSubject };
    ofSubject.shares.set(log, share);
    this.#last = share;
    return share;
  }
}

const unused: Readonly<Usage> = { bytes: 0, count: 0 };

function add(usage: Usage, bytes: number, count: number): void {
  usage.bytes += bytes;
  usage.count += count;
}

/** What all use, and of that a log, a subject, and the subject in the log. */
interface Uses {
  readonly all: Readonly<Usage>;
  readonly log: Readonly<Usage>;
  readonly subject: Readonly<Usage>;
  readonly own: Readonly<Usage>;
}

/**
 * Returns true if the log, the subject, and the subject in the log stay within their shares of `max` with so many more.
 * `parts` divides what other subjects leave.
 */
function fits(uses: Uses, unit: keyof Usage, more: number, max: number, parts: number): boolean {
  const all = uses.all[unit];
  const log = uses.log[unit];
  const subject = uses.subject[unit];
  const own = uses.own[unit];
  const subjectMax = (max - (all - subject)) / parts;
  return (
    all + more <= max &&
    2 * (log + more) <= max - (all - log) &&
    subject + more <= subjectMax &&
    2 * (own + more) <= subjectMax - (subject - own)
  );
}
