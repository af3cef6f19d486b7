/** Clients that read named logs in every mode, from random nodes and without retries. */
import {
  anyLog,
  atPace,
  bytesOf,
  type Client,
  callMs,
  copies,
  logFields,
  namer,
} from "../clients/client-context.ts";
import { askEnd, askRecord, recorded, resultOf } from "../clients/recorded.ts";
import type { Mode } from "../history.ts";

/** Reads ends and records in a random mode, by name, by id, and by an old id. */
export const namedReads: Client = copies(3, (self) =>
  atPace(self, 150, async () => {
    const { chance, known } = self;
    const meant = known.pick(chance);
    const mode = chance.pick<Mode>(["linearizable", "linearizable", "session", "bounded", "any"]);
    const found = await askEnd(self, mode, mode === "bounded" ? { stalenessMs: 1_000 } : {}, meant);
    if (found?.logId === undefined || found.next === 0) return;
    known.learn(meant.log, found.logId);
    const offset = chance.chance(0.5) ? found.next - 1 : chance.between(0, found.next - 1);
    const again = chance.chance(0.7) ? { log: meant.log, statedId: found.logId } : meant;
    await askRecord(self, offset, chance.pick<Mode>(["linearizable", "session", "any"]), {}, again);
  }),
);

/** Appends at one node, and reads the record at others with the acknowledged offset. */
export const namedSession: Client = copies(2, async (self) => {
  const next = namer(self);
  await atPace(self, 120, async () => {
    const meant = self.known.pick(self.chance);
    const name = next();
    const result = await recorded(self, { values: [name], ...meant }, async () => {
      const request = { record: { value: bytesOf(name) }, ...logFields(meant) };
      const { offset, logId } = await anyLog(self).produce(request, { timeoutMs: callMs });
      return resultOf(meant, offset, logId);
    });
    if (!("offset" in result)) return;
    const { offset: seen, logId: statedId = "" } = result;
    const stated = { log: meant.log, statedId };
    await askRecord(self, seen, "session", { seen }, stated);
    await askEnd(self, "session", { seen }, stated);
  });
});
