/** What a connection of HTTP/1.1 that is served directly needs. */
import type { ClientConnection, Router } from "../../../api/mod.ts";
import type { Logger } from "../../../lib/telemetry.ts";
import type { Clock } from "../../../lib/time/clock.ts";
import type { MemoryBudget } from "../../../memory/mod.ts";
import type { Activity, HttpLimits } from "../http-limits.ts";
import type { HeadEnds } from "./head-ends.ts";

export interface Http1ConnectionOptions {
  readonly router: Pick<Router, "prepare" | "direct">;
  readonly client: ClientConnection;
  readonly activity: Activity;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits: HttpLimits;
  readonly memory: MemoryBudget | undefined;
  readonly ends: HeadEnds;
  /** Serves the connection from now on. The next request is unread. */
  readonly handOver: () => void;
  /** The connection is over, or was handed over. */
  readonly onDone: () => void;
}
