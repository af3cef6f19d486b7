/**
 * The numeric address of the host that this node advertises. A name that the DNS does not know yet is asked for again, as
 * join addresses are: in many deployments a node's name appears only some time after the node has started.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import { type Clock, delay } from "../../lib/time/clock.ts";
import { resolveHost } from "../../membership/mod.ts";

export interface AdvertisedHostOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: the system's resolver. Rejects with Fault "unavailable" for a name that it does not know. */
  readonly resolve?: (host: string) => Promise<string>;
}

const firstDelayMs = 250;
const delayMsMax = 5_000;
/** A line for the first failure, then one in this time. */
const lineMs = 30_000;

/** Resolves once the name does. Rejects with what is not a failure of the DNS. */
export async function advertisedHost(
  host: string,
  { clock, log, resolve = resolveHost }: AdvertisedHostOptions,
): Promise<string> {
  let saidMs = Number.NEGATIVE_INFINITY;
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMsMax, 2 * delayMs)) {
    try {
      return await resolve(host);
    } catch (reason) {
      const fault = Fault.from(reason);
      if (fault.kind !== "unavailable") throw fault;
      if (clock.monotonicMs() - saidMs >= lineMs) {
        saidMs = clock.monotonicMs();
        log.warn(
          { host, nextMs: delayMs },
          "the name to advertise is not known yet; it will be tried again, and the node waits for it",
        );
      }
    }
    await delay(clock, delayMs);
  }
}
