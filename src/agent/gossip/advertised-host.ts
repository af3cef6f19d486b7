/**
 * Resolves the host that this node advertises. An unknown name is tried again, as seeds are: in many deployments a
 * node's name appears in the DNS only some time after the node has started.
 */
import { Fault } from "../../fault.ts";
import type { Logger } from "../../lib/telemetry.ts";
import { type Clock, delay } from "../../lib/time/clock.ts";
import { resolveHost } from "../../membership/mod.ts";

export interface AdvertisedHostOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: the system's resolver. Rejects with Fault "unavailable" for an unknown name. */
  readonly resolve?: (host: string) => Promise<string>;
}

const firstDelayMs = 250;
const delayMsMax = 5_000;
/** The first failure is logged, and then at most one in this time. */
const logIntervalMs = 30_000;

/**
 * Resolves to the numeric address, once the name is known.
 * @throws Fault of another kind than "unavailable"
 */
export async function advertisedHost(
  host: string,
  { clock, log, resolve = resolveHost }: AdvertisedHostOptions,
): Promise<string> {
  let loggedMs = Number.NEGATIVE_INFINITY;
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMsMax, 2 * delayMs)) {
    try {
      return await resolve(host);
    } catch (reason) {
      const fault = Fault.from(reason);
      if (fault.kind !== "unavailable") throw fault;
      if (clock.monotonicMs() - loggedMs >= logIntervalMs) {
        loggedMs = clock.monotonicMs();
        log.warn(
          { host, nextMs: delayMs },
          "the name to advertise is not known yet; it will be tried again, and the node waits for it to resolve",
        );
      }
    }
    await delay(clock, delayMs);
  }
}
