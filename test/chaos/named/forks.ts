/** Clients that fork named logs by `PUT /v1/stream/NAME`, and delete the forks and their sources. */
import {
  atPace,
  type Client,
  type ClientContext,
  callMs,
  copies,
  failureIn,
} from "../clients/client-context.ts";
import { askEnd } from "../clients/recorded.ts";
import type { Failure } from "../history.ts";
import { remove } from "./recorded-change.ts";

/** The offset as the door takes it. */
const offsetDigits = 16;

/** A refusal because of the source says nothing about the fork. */
const withoutReason = ({ reason: _, ...failure }: Failure): Failure => failure;

/**
 * Forks a random log at its end or at an earlier offset, mostly under a name that it frees. Otherwise the name can be that of another
 * log. The source can be gone, and it can be the log that is removed.
 */
async function fork(self: ClientContext): Promise<void> {
  const { chance, known, connections, addresses, history, name: client } = self;
  const [log, source] = [known.pickFork(chance), known.pickSource(chance)];
  if (chance.chance(0.7)) await remove(self, { log });
  const end = (await askEnd(self, "any", {}, { log: source }))?.next;
  const at = end === undefined || chance.chance(0.3) ? undefined : chance.between(0, end);
  const headers = {
    "stream-forked-from": `/v1/stream/${source}`,
    ...(at === undefined ? {} : { "stream-fork-offset": String(at).padStart(offsetDigits, "0") }),
  };
  const stated = { source, ...(at === undefined ? {} : { at }) };
  const about = { op: "change", client, change: "fork", log, ...stated, start: history.now() } as const;
  const asked = { method: "PUT", headers, timeoutMs: callMs };
  const answer = await connections.http(chance.pick(addresses.direct()), `/v1/stream/${log}`, asked);
  const logId = answer.headers["tailrace-log-id"];
  if (answer.status >= 300 || typeof logId !== "string") {
    history.add({ ...about, failure: withoutReason(failureIn(answer)), end: history.now() });
    return;
  }
  known.learn(log, logId);
  history.add({ ...about, logId, created: answer.status === 201, end: history.now() });
}

/** Forks, of which the clients of all named logs append to and read. The changes of logs delete forks and their sources. */
export const forks: Client = copies(2, (self) => atPace(self, 1_500, () => fork(self)));
