/** Clients that create, close, configure, trim and delete named logs, at random nodes and without retries. */
import {
  anyLog,
  atPace,
  type Client,
  type ClientContext,
  copies,
  logFields,
} from "../clients/client-context.ts";
import { isRetained, type MeantLog, retainedBytes } from "./known-logs.ts";
import { anyLogs, type Changed, changed, limit, named, remove } from "./recorded-change.ts";

/** Longer than any run, and shorter than a jump of a clock: no clock may expire a log or its records. */
const hourMs = 3_600_000n;

function create(self: ClientContext, name: string): Promise<void> {
  // Limits that nothing reaches, so that a wrong clock or count would be seen.
  const far = self.chance.chance(0.5)
    ? { ttlMs: hourMs, retentionAgeMs: hourMs, expiresAtMs: BigInt(Date.now()) + 4n * hourMs }
    : {};
  const settings = { ...far, ...(isRetained(name) ? { retentionBytes: BigInt(retainedBytes) } : {}) };
  const request = { name, settings, ifNotExists: self.chance.chance(0.3) };
  return changed(self, "create", { log: name }, async () => {
    const { log, created } = await anyLogs(self).createLog(request, limit);
    return { logId: log!.logId, created };
  });
}

function trim(self: ClientContext, meant: MeantLog): Promise<void> {
  const before = self.chance.between(1, 200);
  const work = async (): Promise<Changed> => {
    const request = { ...logFields(meant), beforeOffset: BigInt(before) };
    const { lowestOffset, logId } = await anyLog(self).trim(request, limit);
    return { lowest: Number(lowestOffset), ...(logId === undefined ? {} : { logId }) };
  };
  return changed(self, "trim", meant, work, { before });
}

const configure = (self: ClientContext, meant: MeantLog): Promise<void> =>
  changed(self, "configure", meant, async () => {
    const settings = { maxBytes: BigInt(self.chance.between(50, 100)) * 1_000_000n };
    const { log } = await anyLogs(self).updateLog({ ...named(meant), settings }, limit);
    return { logId: log!.logId };
  });

const close = (self: ClientContext, meant: MeantLog): Promise<void> =>
  changed(self, "close", meant, async () => {
    const { log } = await anyLogs(self).closeLog(named(meant), limit);
    return { logId: log!.logId };
  });

/** Deletes and creates again, so that a name soon means another log. */
async function replace(self: ClientContext, meant: MeantLog): Promise<void> {
  await remove(self, meant);
  await create(self, meant.log);
}

async function change(self: ClientContext): Promise<void> {
  const { chance, known } = self;
  const missing = known.names.filter((name) => known.newest(name) === undefined);
  if (missing.length > 0) return create(self, chance.pick(missing));
  const meant = known.pick(chance);
  const draw = chance.float();
  if (draw < 0.15) return trim(self, meant);
  // Another value for the settings would end the retention.
  if (draw < 0.25 && !isRetained(meant.log)) return configure(self, meant);
  if (draw < 0.4 || known.isKept(meant.log)) return create(self, meant.log);
  if (draw < 0.45) return close(self, meant);
  return draw < 0.6 ? remove(self, meant) : replace(self, meant);
}

/** Creates all logs, and then changes one after another. */
export const admin: Client = async (self) => {
  await Promise.all(self.known.names.map((name) => create(self, name)));
  await copies(4, (copy) => atPace(copy, 12_000 / copy.rate, () => change(copy)))(self);
};
