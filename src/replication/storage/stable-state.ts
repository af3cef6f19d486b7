/**
 * The replication state in the stable store: the vote, the configurations, the cluster id and the boots.
 *
 *   raft/state                     { term, vote }          one transaction, durable before any message in that term
 *   raft/configuration/<index>     ConfState with roster   in force from that index on; 20 digits
 *   cluster-id                     text
 *   clock-set                      milliseconds by which the clock was set within the hour (log-time.ts)
 *   clock-without-leaps            the time, in ms since 1970, that the clock would have shown when clock-set was written
 *   restored-from                  text: the id of the cluster whose backup was restored, until the directory joins one
 *   restoring                      true while `tailrace restore` fills the log: it is not whole before the end
 *   boot/own                       StoredBoot: the last start of this directory; absent before the first
 *   boot/seen/<directory>          SeenBoot: the newest accepted start of a member
 *   boot/disowned                  Disowned: the other members refuse this directory as rolled back or copied
 *
 * Every configuration that a snapshot could still need is kept.
 */
import { Fault } from "../../fault.ts";
import { type ConfState, emptyConfState, type HardState, noPeer, type PeerId } from "../../raft/mod.ts";
import { bootKey, type StableStore, voteKey } from "../../store/mod.ts";
import type { RaftIndex } from "../../types.ts";
import { nextLife, type SeenBoot, type StoredBoot, seenOf, storedBootOf } from "../identity/boot.ts";

const configurationPrefix = "raft/configuration/";
const clusterKey = "cluster-id";
const restoredKey = "restored-from";
const restoringKey = "restoring";
const seenPrefix = "boot/seen/";
const disownedKey = "boot/disowned";
const clockKey = "clock-set";
const clockWithoutLeapsKey = "clock-without-leaps";
/** The last moment that a Date can hold. */
const dateMsMax = 8.64e15;
const keyOf = (index: RaftIndex): string => configurationPrefix + String(index).padStart(20, "0");
const indexOf = (key: string): RaftIndex => Number(key.slice(configurationPrefix.length));

/** Why the other members refuse this directory, and the name of the member that refused it. */
export interface Disowned {
  readonly reason: string;
  readonly message: string;
  readonly by: string;
}

export class StableState {
  readonly #store: StableStore;
  #vote: Pick<HardState, "term" | "vote"> | undefined;

  constructor(store: StableStore) {
    this.#store = store;
    this.#vote = store.get(voteKey) as Pick<HardState, "term" | "vote"> | undefined;
  }

  get vote(): Pick<HardState, "term" | "vote"> | undefined {
    return this.#vote;
  }

  /** Stores the term and vote. Durable on return. Writes nothing if both are unchanged. */
  saveVote(term: number, vote: number): void {
    if (this.#vote?.term === term && this.#vote.vote === vote) return;
    this.#store.write({ [voteKey]: { term, vote } });
    this.#vote = { term, vote };
  }

  /** Returns the configuration in force at `index`, or the empty one. */
  configurationAt(index: RaftIndex): ConfState {
    const keys = this.#store.keys(configurationPrefix);
    const found = keys.findLast((key) => indexOf(key) <= index);
    return found === undefined ? emptyConfState : (this.#store.get(found) as ConfState);
  }

  /** True if there is a configuration, so that this directory belongs to a cluster. */
  get configured(): boolean {
    return this.#store.keys(configurationPrefix).length > 0;
  }

  /** Stores a configuration and deletes those that are in force only below the index `needed`. */
  saveConfiguration(index: RaftIndex, configuration: ConfState, needed: RaftIndex): void {
    const changes: Record<string, unknown> = { [keyOf(index)]: configuration };
    const keys = this.#store.keys(configurationPrefix).filter((key) => indexOf(key) < index);
    const base = keys.findLast((key) => indexOf(key) <= needed);
    for (const key of keys) if (base !== undefined && key < base) changes[key] = undefined;
    this.#store.write(changes);
  }

  /** The index of the last stored configuration. It is committed, and so is everything before it. */
  get configurationIndex(): RaftIndex {
    const last = this.#store.keys(configurationPrefix).at(-1);
    return last === undefined ? 0 : indexOf(last);
  }

  /** The changes that replace all configurations by that of a snapshot, for the transaction that resets the log. */
  withOnly(index: RaftIndex, configuration: ConfState): Record<string, unknown> {
    const changes: Record<string, unknown> = {};
    for (const key of this.#store.keys(configurationPrefix)) changes[key] = undefined;
    return { ...changes, [keyOf(index)]: configuration };
  }

  /** Stores the first configuration of a cluster and its id in one transaction. */
  bootstrap(configuration: ConfState, clusterId: string | undefined): void {
    const id = clusterId === undefined ? {} : { [clusterKey]: clusterId };
    this.#store.write({ ...id, [keyOf(0)]: configuration });
  }

  get clusterId(): string | undefined {
    const id = this.#store.get(clusterKey);
    return typeof id === "string" && id !== "" ? id : undefined;
  }

  saveClusterId(id: string): void {
    this.#store.write({ [clusterKey]: id });
  }

  /**
   * The last start of this directory.
   * @throws Fault "corrupt" if the stored value is malformed
   */
  get boot(): StoredBoot | undefined {
    return storedBootOf(this.#store.get(bootKey));
  }

  /** True from a repair that kept the identity until the next start. */
  get isRepaired(): boolean {
    return this.boot?.nonce === "";
  }

  saveBoot(boot: StoredBoot): void {
    this.#store.write({ [bootKey]: boot });
  }

  /** The seen boots by directory, without damaged records. */
  seenBoots(): Map<string, SeenBoot> {
    const found = new Map<string, SeenBoot>();
    for (const key of this.#store.keys(seenPrefix)) {
      const seen = seenOf(readable(() => this.#store.get(key)));
      if (seen !== undefined) found.set(key.slice(seenPrefix.length), seen);
    }
    return found;
  }

  /** Stores records by directory. A value of undefined deletes the record. */
  saveSeenBoots(seen: Readonly<Record<string, SeenBoot | undefined>>): void {
    const changes: Record<string, unknown> = {};
    for (const [directory, one] of Object.entries(seen)) changes[seenPrefix + directory] = one;
    this.#store.write(changes);
  }

  get disowned(): Disowned | undefined {
    const found = readable(() => this.#store.get(disownedKey)) as Partial<Disowned> | undefined;
    if (found === undefined) return undefined;
    const { reason = "", message = "", by = "" } = found;
    return { reason, message, by };
  }

  /** Stores the refusal of this directory. Undefined deletes it, once the directory is accepted. */
  saveDisowned(disowned: Disowned | undefined): void {
    this.#store.write({ [disownedKey]: disowned });
  }

  get clockSetByMs(): number | undefined {
    const byMs = this.#store.get(clockKey);
    return typeof byMs === "number" ? byMs : undefined;
  }

  get clockWithoutLeapsMs(): number | undefined {
    const wallMs = this.#store.get(clockWithoutLeapsKey);
    return typeof wallMs === "number" && wallMs >= 0 && wallMs <= dateMsMax ? wallMs : undefined;
  }

  saveClockSet(byMs: number | undefined, withoutLeapsMs: number | undefined): void {
    this.#store.write({ [clockKey]: byMs, [clockWithoutLeapsKey]: withoutLeapsMs });
  }

  get restoredFrom(): string | undefined {
    const id = this.#store.get(restoredKey);
    return typeof id === "string" && id !== "" ? id : undefined;
  }

  /** A restore begins to fill this directory. No node may use it before saveRestored(). */
  saveRestoring(): void {
    this.#store.write({ [restoringKey]: true });
  }

  /** The restore is complete. `from`: the cluster of the backup, if the directory may join only that one. */
  saveRestored(from: string | undefined): void {
    this.#store.write({ [restoringKey]: undefined, ...(from === undefined ? {} : { [restoredKey]: from }) });
  }
}

/** @throws Fault "failed-precondition" if a restore of this directory did not complete: its log lacks records */
export function checkRestored(store: Pick<StableStore, "get">, directory: string): void {
  if (readable(() => store.get(restoringKey)) === true) throw unfinishedRestore(directory);
}

export const unfinishedRestore = (directory: string): Fault =>
  new Fault("failed-precondition", {
    message: `the restore of ${directory} did not complete, so records are missing; empty the directory and run tailrace restore again`,
  });

/**
 * The changes that give a directory a new identity: it keeps its log and cluster id, and waits to join as a new member.
 * The state of its vote is kept, or created: without it, the log would count as one that was never replicated, and the
 * node would bootstrap a cluster of its own.
 */
export function newIdentityChanges(store: StableStore): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  for (const key of store.keys(configurationPrefix)) changes[key] = undefined;
  if (readable(() => store.get(voteKey)) === undefined) changes[voteKey] = { term: 0, vote: noPeer };
  // The new identity has no boots yet.
  return { ...changes, [bootKey]: undefined, [disownedKey]: undefined };
}

/**
 * The changes for a member that keeps its identity although it has lost a part of its log. It begins a new life: peers
 * accept it without the entries that it had promised, and a leader counts only what it acknowledges from then on. It
 * also enters a new term without a vote, since its last vote may be lost too.
 */
export function newLifeChanges(store: StableStore): Record<string, unknown> {
  const boot = readable(() => storedBootOf(store.get(bootKey)));
  return { ...laterTerm(store), [bootKey]: nextLife(boot), [disownedKey]: undefined };
}

/** Returns true if the other members refuse this directory. */
export const isDisowned = (store: StableStore): boolean => store.keys(disownedKey).length > 0;

function laterTerm(store: StableStore): Record<string, unknown> {
  const state = readable(() => store.get(voteKey)) as Pick<HardState, "term" | "vote"> | undefined;
  return state === undefined ? {} : { [voteKey]: { term: state.term + 1, vote: noPeer } };
}

/**
 * Returns true if the other voters may have decided something that counts on the entries that this node acknowledged.
 * False for the only voter, and for one of two: two voters decide only together, so the other has all entries. True if
 * the configuration cannot be read.
 */
export function isCountedOn(store: StableStore, peer: PeerId): boolean {
  const last = store.keys(configurationPrefix).at(-1);
  if (last === undefined) return store.keys("raft/").length > 0 || store.keys(clusterKey).length > 0;
  const { voters = [], votersOutgoing = [] } = readable(() => store.get(last) as ConfState) ?? {};
  return votersOutgoing.length > 0 || voters.length > 2 || !voters.includes(peer);
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (reason) {
    if (reason instanceof Fault && reason.kind === "corrupt") return undefined;
    throw reason;
  }
}
