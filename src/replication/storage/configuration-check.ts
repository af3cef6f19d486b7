/** Validates configurations and configuration changes that come from a peer, the log or a backup. Pure. */
import type { ConfChange, ConfState, Member, PeerChange, Roster } from "../../raft/mod.ts";

/** The most peers in one list. A longer list is malformed. */
const peersMax = 4096;

/** Returns true for a safe integer that is not negative: an index, a term, a peer id. */
export const isWhole = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

export function isConfiguration(value: unknown): value is ConfState {
  if (!isObject<ConfState>(value)) return false;
  const { voters, votersOutgoing, learners, learnersNext, autoLeave, roster } = value;
  const isPeers = [voters, votersOutgoing, learners, learnersNext].every((list) => isListOf(list, isWhole));
  return isPeers && typeof autoLeave === "boolean" && (roster === undefined || isRoster(roster));
}

export function isChange(value: unknown): value is ConfChange {
  if (!isObject<ConfChange>(value)) return false;
  const { transition, changes, members, base } = value;
  return (
    ["auto", "implicit", "explicit"].includes(transition as string) &&
    isListOf(changes, isPeerChange) &&
    (members === undefined || isListOf(members, isMember)) &&
    (base === undefined || isConfiguration(base))
  );
}

function isPeerChange(value: unknown): value is PeerChange {
  if (!isObject<PeerChange>(value)) return false;
  return ["voter", "learner", "remove", "update"].includes(value.action as string) && isWhole(value.peer);
}

function isRoster(value: unknown): value is Roster {
  return isObject<Roster>(value) && isWhole(value.nextPeer) && isListOf(value.members, isMember);
}

function isMember(value: unknown): value is Member {
  if (!isObject<Member>(value)) return false;
  const { peer, name, directory, address } = value;
  return isWhole(peer) && [name, directory, address].every((text) => typeof text === "string");
}

function isListOf<T>(value: unknown, is: (one: unknown) => one is T): value is T[] {
  return Array.isArray(value) && value.length <= peersMax && value.every(is);
}

/** Returns true for an object. Its fields are not validated. */
function isObject<T>(value: unknown): value is { readonly [K in keyof T]?: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
