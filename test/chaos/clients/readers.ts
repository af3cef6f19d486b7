/**
 * Clients that read the end of the log and single records, in every mode, from random nodes, without retries.
 */
import { anyLog, atPace, bytesOf, type Client, callMs, namer } from "./client-context.ts";
import { askEnd, askRecord, recorded, resultOf } from "./recorded.ts";

const readsPerSecond = 20;

/** Reads the end of the log and its last record, linearizable, from random nodes. */
export const linearizable: Client = async (self) => {
  await atPace(self, 2000 / readsPerSecond, async () => {
    const end = await askEnd(self, "linearizable");
    if (end !== undefined && end.next > 0) await askRecord(self, end.next - 1, "linearizable");
  });
};

/** Appends to one node, and reads the record from another with the acknowledged offset. */
export const session: Client = async (self) => {
  const next = namer(self);
  let seen: number | undefined;
  await atPace(self, 3000 / readsPerSecond, async () => {
    const name = next();
    const result = await recorded(self, { values: [name] }, async () => {
      const { offset } = await anyLog(self).produce(
        { record: { value: bytesOf(name) } },
        { timeoutMs: callMs },
      );
      return resultOf({}, offset, undefined);
    });
    if ("offset" in result) seen = result.offset;
    if (seen === undefined) return;
    await askRecord(self, seen, "session", { seen });
    const end = await askEnd(self, "session", { seen });
    if (end !== undefined && end.next > 0) seen = Math.max(seen, end.next - 1);
  });
};

/** Reads the end in the modes "bounded" and "any". */
export const stale: Client = async (self) => {
  await atPace(self, 2000 / readsPerSecond, async () => {
    if (self.chance.chance(0.3)) await askEnd(self, "any");
    else await askEnd(self, "bounded", { stalenessMs: self.chance.pick([50, 300, 1000]) });
  });
};
