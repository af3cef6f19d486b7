/** Groups entries whose frames are neighbors in memory, so that the log stages each group without a copy. Pure. */
import type { FrameGroup } from "../../log/mod.ts";
import type { Entry } from "../../raft/mod.ts";

/** Returns the entries from position `from` on as groups. Neighbors in one buffer are one group. */
export function frameGroups(entries: readonly Entry[], from: number): FrameGroup[] {
  const groups: FrameGroup[] = [];
  let positions: number[] = [0];
  let start = from;
  for (let at = from; at < entries.length; at++) {
    const { bytes } = entries[at]!;
    const length = positions[positions.length - 1]! + bytes.length;
    positions.push(length);
    const next = entries[at + 1]?.bytes;
    if (next?.buffer === bytes.buffer && next.byteOffset === bytes.byteOffset + bytes.length) continue;
    const first = entries[start]!;
    const joined = new Uint8Array(first.bytes.buffer, first.bytes.byteOffset, length);
    groups.push({ bytes: joined, positions, first: first.index });
    positions = [0];
    start = at + 1;
  }
  return groups;
}
