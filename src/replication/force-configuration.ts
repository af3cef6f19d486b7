/**
 * Makes one node the only voter of its log, offline, after the majority was lost for good.
 *
 * What lies in this log counts as committed from then on, and the change is written into it as ordinary entries, one
 * removal at a time: so whoever joins later and plays the log from its start arrives at the same configuration. The
 * cluster gets a new id, so that those who were lost cannot come back into it.
 *
 * Never: asks anybody; whoever was elsewhere and is not in this log is gone.
 */
import { Fault } from "../fault.ts";
import { batchKind, encodeFrame, type SegmentedLog } from "../log/mod.ts";
import { type ConfChange, emptyConfState, type Member } from "../raft/mod.ts";
import { encodeChange, entryOf } from "./entries.ts";
import type { StableState } from "./stable-state.ts";

const scanBytes = 1024 * 1024;

export interface Forced {
  /** Those that are members no more. */
  readonly removed: readonly Member[];
  /** Entries that were not known to be committed, and are now. */
  readonly committed: number;
  readonly clusterId: string;
}

/** Throws Fault "failed-precondition" for a directory that belongs to no cluster. Durable on return. */
export function forceConfiguration(
  log: SegmentedLog,
  state: StableState,
  self: Member,
  clusterId: string,
  wallMs: number,
): Forced {
  if (!state.configured) {
    throw new Fault("failed-precondition", { message: "this directory is no member of a cluster" });
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
    // Refused, and so nothing, where there is no joint configuration to leave.
    { transition: "auto", changes: [], base },
    { transition: "auto", changes: [{ action: "voter", peer: self.peer }], members: [self], base },
    ...removed.map(
      ({ peer }): ConfChange => ({ transition: "auto", changes: [{ action: "remove", peer }], base }),
    ),
  ];
  const tail = log.end.index - before;
  const term = Math.max(state.vote?.term ?? 0, log.end.term) + 1;
  for (const change of changes) stage(log, change, term, wallMs);
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
  // No member is left that could refuse it.
  if (state.disowned !== undefined) state.saveDisowned(undefined);
  log.commitTo(index);
  return { removed, committed: tail, clusterId };
}

/** The changes of configuration that are in the log and not known to be committed. */
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
