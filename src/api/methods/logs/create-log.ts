/** CreateLog, for Connect's handler and for the fast path; and the checks of a name that all changes of a log share. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Fault } from "../../../fault.ts";
import type {
  CreateLogRequest,
  CreateLogResponseSchema,
  UpdateLogRequest,
} from "../../../gen/log/v1/log_pb.js";
import { defaultLog } from "../../../lib/names/log-name.ts";
import { settingDifferences, updateCommand } from "../../../log/mod.ts";
import type { Freshness, LogChange, LogInfo, LogRef, NamedLogSettings } from "../../../types.ts";
import type { Call } from "../../calls/call-tracker.ts";
import { appendOptionsOf } from "../append.ts";
import type { LogDirectory } from "./log-directory.ts";
import { requiredLog, shownTo } from "./log-message.ts";
import { settingsOf } from "./log-settings.ts";

/** How the transport runs a create. */
export interface CreatePorts {
  readonly forward: boolean;
  /** The signal of the call. It is asked for only if the name is known already. */
  readonly signal: () => AbortSignal;
  /** Waits for a change that has begun. Until it settles, its outcome is unknown. */
  readonly change: <T>(work: Promise<T>) => Promise<T>;
}

/** The freshness of a call that states none. */
export const freshnessOfCall = ({ deadlineMs }: Call, signal: AbortSignal): Freshness =>
  deadlineMs === undefined ? { signal } : { signal, deadlineMs };

/** The reason of a refusal: the log was deleted, and is kept for its forks. */
export const keptForForks = "KEPT_FOR_FORKS";

/** Returns whether a create was refused because there is a log of the name, which can be looked at. */
const isThere = (reason: unknown): reason is Fault =>
  reason instanceof Fault && reason.kind === "already-exists" && reason.facts.reason !== keptForForks;

/** Creates that are tried while the log is deleted each time before it is looked at. */
const createsMax = 4;

/**
 * Creates a log, or finds the one because of which the create was refused. One that is deleted before it is found is created
 * after all: a create never ends with "not-found".
 * @throws what `create` and `find` throw; Fault "unavailable" if others create and delete the log all the time
 */
export async function createdOrFound<Result>(
  create: () => Promise<Result>,
  find: (refusal: Fault) => Promise<Result>,
): Promise<Result> {
  for (let left = createsMax; left > 0; left--) {
    try {
      return await create();
    } catch (refusal) {
      if (!isThere(refusal)) throw refusal;
      try {
        return await find(refusal);
      } catch (reason) {
        if (!(reason instanceof Fault) || reason.facts.reason !== "NO_SUCH_LOG") throw reason;
      }
    }
  }
  throw new Fault("unavailable", { message: "others create and delete the log at the same time" });
}

/** @throws Fault "bad-request", "permission-denied", "already-exists", and as LogCatalog.change() */
export async function createLog(
  logs: LogDirectory,
  call: Call,
  { name, settings, ifNotExists, validateOnly }: CreateLogRequest,
  { forward, signal, change }: CreatePorts,
): Promise<MessageInitShape<typeof CreateLogResponseSchema>> {
  const { name: checked } = namedOnly(logs, call, { name });
  const wanted = settingsOf(settings);
  const only = validateOnly ? ({ validateOnly } as const) : {};
  const wish: LogChange = { kind: "create", name: checked, settings: wanted, ...only };
  return createdOrFound(
    async () => {
      const { log, created } = await change(logs.named.change(wish, appendOptionsOf(call, {}, forward)));
      if (!created && !ifNotExists) throw alreadyExists(checked);
      if (validateOnly && log === undefined) return { created };
      return { log: shownTo(logs, call, requiredLog(log)), created };
    },
    async (refusal) => {
      if (!ifNotExists) throw refusal;
      const known = await sameAsStated(logs, checked, wanted, freshnessOfCall(call, signal()));
      return { log: shownTo(logs, call, known), created: false };
    },
  );
}

/**
 * Returns the log of a change, after the permission check.
 * @throws Fault "bad-request" for `default`
 */
export function namedOnly(
  logs: LogDirectory,
  call: Call,
  { name, logId }: Pick<UpdateLogRequest, "name" | "logId"> | { name: string; logId?: undefined },
): LogRef {
  const ref = logs.refFor(call, { log: requiredName(name), logId });
  if (ref !== undefined && ref.id !== 0) return ref;
  throw new Fault("bad-request", {
    message: `the log "${defaultLog}" is always there, its settings are those of the cluster`,
    facts: { field: "name" },
  });
}

/** Here an empty name is a mistake, and not the log `default`. */
export function requiredName(name: string): string {
  if (name !== "") return name;
  throw new Fault("bad-request", { message: "the name of the log is missing", facts: { field: "name" } });
}

/** Returns the log that a create found, if every stated setting is so already. @throws Fault "already-exists" otherwise */
async function sameAsStated(
  logs: LogDirectory,
  name: string,
  stated: NamedLogSettings,
  freshness: Freshness,
): Promise<LogInfo> {
  const known = await logs.named.open({ name }).info({ ...freshness, mode: "linearizable" });
  const keys = Object.keys(stated) as (keyof NamedLogSettings)[];
  const differences = settingDifferences(stated, known.settings, keys);
  if (differences === "") return known;
  throw new Fault("already-exists", {
    message: `there is a log "${name}" with other settings: ${differences}. To change them: ${updateCommand(name)}`,
    facts: { name },
  });
}

const alreadyExists = (name: string): Fault =>
  new Fault("already-exists", {
    message: `there is a log "${name}" already, with these settings. With if_not_exists (--if-not-exists) the request succeeds`,
    facts: { name },
  });
