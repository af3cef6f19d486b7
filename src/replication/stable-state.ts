/**
 * What the stable store holds of Raft: the vote, the configurations and the cluster's id.
 *
 *   raft/state                     { term, vote }          one transaction, durable before any answer in that term
 *   raft/configuration/<index>     ConfState with roster   in force from that index on; 20 digits
 *   cluster-id                     text
 *   clock-set                      milliseconds that the clock was set by, within the hour (log-time.ts)
 *   clock-without-leaps            what the clock would have shown without that, when it was noted, ms since 1970
 *   restored-from                  text: of the cluster whose backup this directory was made of, until it belongs to one
 *   boot/own                       StoredBoot: the last start of this directory; absent before the first
 *   boot/seen/<directory>          SeenBoot: the newest start of a member that was accepted here
 *   boot/disowned                  Disowned: other members refuse this directory as rolled back or copied
 *
 * Never: forgets a configuration that a snapshot could still need.
 */
import { Fault } from "../fault.ts";
import { type ConfState, emptyConfState, type HardState, noPeer, type PeerId } from "../raft/mod.ts";
import { bootKey, type StableStore, voteKey } from "../store/mod.ts";
import type { RaftIndex } from "../types.ts";
import { nextLife, type SeenBoot, type StoredBoot, seenOf, storedBootOf } from "./identity/boot.ts";

const configurationPrefix = "raft/configuration/";
const clusterKey = "cluster-id";
const restoredKey = "restored-from";
const seenPrefix = "boot/seen/";
const disownedKey = "boot/disowned";
const clockKey = "clock-set";
const clockWithoutLeapsKey = "clock-without-leaps";
/** The last moment that a Date can hold. */
const dateMsMax = 8.64e15;
const keyOf = (index: RaftIndex): string => configurationPrefix + String(index).padStart(20, "0");
const indexOf = (key: string): RaftIndex => Number(key.slice(configurationPrefix.length));

/** Why the other members refuse this directory, and who said so. */
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

  /** Durable on return; nothing is written when nothing changed. */
  saveVote(term: number, vote: number): void {
    if (this.#vote?.term === term && this.#vote.vote === vote) return;
    this.#store.write({ [voteKey]: { term, vote } });
    this.#vote = { term, vote };
  }

  /** The configuration in force at `index`, the empty one where there is none. */
  configurationAt(index: RaftIndex): ConfState {
    const keys = this.#store.keys(configurationPrefix);
    const found = keys.findLast((key) => indexOf(key) <= index);
    return found === undefined ? emptyConfState : (this.#store.get(found) as ConfState);
  }

  /** Is there any configuration at all? Then this directory belongs to a cluster. */
  get configured(): boolean {
    return this.#store.keys(configurationPrefix).length > 0;
  }

  /** Keeps a configuration, and drops those that only indexes below `needed` would ask for. */
  saveConfiguration(index: RaftIndex, configuration: ConfState, needed: RaftIndex): void {
    const changes: Record<string, unknown> = { [keyOf(index)]: configuration };
    const keys = this.#store.keys(configurationPrefix).filter((key) => indexOf(key) < index);
    const base = keys.findLast((key) => indexOf(key) <= needed);
    for (const key of keys) if (base !== undefined && key < base) changes[key] = undefined;
    this.#store.write(changes);
  }

  /** Up to here everything was committed and applied: a configuration is kept when it comes into force. */
  get configurationIndex(): RaftIndex {
    const last = this.#store.keys(configurationPrefix).at(-1);
    return last === undefined ? 0 : indexOf(last);
  }

  /** What is to be written, together with the log's own new start, to have a snapshot's configuration alone. */
  withOnly(index: RaftIndex, configuration: ConfState): Record<string, unknown> {
    const changes: Record<string, unknown> = {};
    for (const key of this.#store.keys(configurationPrefix)) changes[key] = undefined;
    return { ...changes, [keyOf(index)]: configuration };
  }

  /** The first configuration of a cluster, and its id: both or neither. */
  begin(configuration: ConfState, clusterId: string | undefined): void {
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

  /** The last start of this directory. Throws Fault "corrupt". */
  get boot(): StoredBoot | undefined {
    return storedBootOf(this.#store.get(bootKey));
  }

  saveBoot(boot: StoredBoot): void {
    this.#store.write({ [bootKey]: boot });
  }

  /** By directory. What is damaged is as if it had never been seen. */
  seenBoots(): Map<string, SeenBoot> {
    const found = new Map<string, SeenBoot>();
    for (const key of this.#store.keys(seenPrefix)) {
      const seen = seenOf(readable(() => this.#store.get(key)));
      if (seen !== undefined) found.set(key.slice(seenPrefix.length), seen);
    }
    return found;
  }

  /** Undefined forgets. */
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

  /** Undefined once this directory is accepted as it is. */
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

  saveRestoredFrom(id: string): void {
    this.#store.write({ [restoredKey]: id });
  }
}

/**
 * What makes a stranger of a directory: it keeps its log and its cluster's id, and waits to be taken in anew. That it
 * voted stays noted, or it would be taken for a log that was never replicated and begin alone.
 */
export function newIdentityChanges(store: StableStore): Record<string, unknown> {
  const changes: Record<string, unknown> = {};
  for (const key of store.keys(configurationPrefix)) changes[key] = undefined;
  if (readable(() => store.get(voteKey)) === undefined) changes[voteKey] = { term: 0, vote: noPeer };
  // Another directory has boots of its own.
  return { ...changes, [bootKey]: undefined, [disownedKey]: undefined };
}

/**
 * What a member writes that keeps its identity although it has lost a part of its log. It begins a new life: peers
 * accept it without what it had promised, and a leader counts only what it acknowledges from then on. It also enters a
 * new term, in which it has voted for no one, since what it voted may be lost too.
 */
export function newLifeChanges(store: StableStore): Record<string, unknown> {
  const boot = readable(() => storedBootOf(store.get(bootKey)));
  return { ...laterTerm(store), [bootKey]: nextLife(boot), [disownedKey]: undefined };
}

/** Do the other members refuse this directory? */
export const isDisowned = (store: StableStore): boolean => store.keys(disownedKey).length > 0;

function laterTerm(store: StableStore): Record<string, unknown> {
  const state = readable(() => store.get(voteKey)) as Pick<HardState, "term" | "vote"> | undefined;
  return state === undefined ? {} : { [voteKey]: { term: state.term + 1, vote: noPeer } };
}

/**
 * Could others decide something without what the node of this number has acknowledged, counting on its having it? Not
 * the only voter; nor one of two, for there nothing is decided without both, and the other has it all. What cannot be
 * read is taken for a yes.
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
