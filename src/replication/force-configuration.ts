/**
 * Makes one node the only voter of its log, offline, after the majority was permanently lost.
 *
 * All entries in this log count as committed from then on. The change is written into the log as ordinary entries, one
 * removal each, so that a node that joins later and applies the log from its start gets the same configuration. The
 * cluster gets a new id, so that the lost nodes cannot rejoin it. Entries that only other nodes had are lost, among them
 * possibly creates of named logs, so the cluster also begins another life.
 */
import { Fault } from "../fault.ts";
import { batchKind, encodeFrame, type SegmentedLog } from "../log/mod.ts";
import { type ConfChange, emptyConfState, type Member } from "../raft/mod.ts";
import { beginLife } from "./logs/cluster-life.ts";
import { encodeChange, entryOf } from "./storage/entries.ts";
import type { StableState } from "./storage/stable-state.ts";

const scanBytes = 1024 * 1024;

export interface ForcedConfiguration {
  /** The members that were removed. */
  readonly removed: readonly Member[];
  /** The number of entries that were not known to be committed before. */
  readonly committed: number;
  readonly clusterId: string;
}

/**
 * Forces the configuration with `self` as the only member. Durable on return. `random` draws the life of the cluster: a
 * number from 0 up to but without 1.
 * @throws Fault "failed-precondition" for a directory that belongs to no cluster
 */
export function forceConfiguration(
  log: SegmentedLog,
  state: StableState,
  self: Member,
  clusterId: string,
  wallMs: number,
  random: () => number,
): ForcedConfiguration {
  if (!state.configured) {
    throw new Fault("failed-precondition", { message: "this directory is not a member of a cluster" });
  }
  const before = log.commitIndex;
  const base = state.configurationAt(before);
  const members = new Map((base.roster?.members ?? []).map((member) => [member.peer, member]));
  for (const { members: named = [] } of tailChanges(log, before)) {
    for (const member of named) members.set(member.peer, member);
  }
  members.delete(self.peer);
  const removed = [...members.values()];
  const changes: ConfChange[] = [
    // Leaves a joint configuration. Without one, the change is refused and has no effect.
    { transition: "auto", changes: [], base },
    { transition: "auto", changes: [{ action: "voter", peer: self.peer }], members: [self], base },
    ...removed.map(
      ({ peer }): ConfChange => ({ transition: "auto", changes: [{ action: "remove", peer }], base }),
    ),
  ];
  const tail = log.end.index - before;
  const term = Math.max(state.vote?.term ?? 0, log.end.term) + 1;
  for (const change of changes) stage(log, change, term, wallMs);
  beginLife(log, random);
  log.flushNow();
  const { index } = log.end;
  const nextPeer = Math.max(self.peer, ...members.keys()) + 1;
  state.saveConfiguration(
    index,
    { ...emptyConfState, voters: [self.peer], roster: { members: [self], nextPeer } },
    log.firstIndex - 1,
  );
  state.saveVote(term, self.peer);
  state.saveClusterId(clusterId);
  // The members that refused this directory are removed.
  if (state.disowned !== undefined) state.saveDisowned(undefined);
  log.commitTo(index);
  return { removed, committed: tail, clusterId };
}

/** Yields the configuration changes in the log that are not known to be committed. */
function* tailChanges(log: SegmentedLog, after: number): Generator<ConfChange> {
  for (let from = after + 1; from <= log.end.index; ) {
    const frames = log.entries(from, scanBytes);
    for (const frame of frames) {
      const { change } = entryOf(frame);
      if (change !== undefined) yield change;
    }
    from += frames.length;
  }
}

function stage(log: SegmentedLog, change: ConfChange, term: number, wallMs: number): void {
  const { end } = log;
  const header = {
    index: end.index + 1,
    term,
    baseOffset: end.nextOffset,
    timestampMs: Math.max(end.timestampMs, wallMs),
    recordCount: 0,
    kind: batchKind.configuration,
  };
  log.stage(encodeFrame(header, encodeChange(change), end.crc));
}
