/**
 * grpc.health.v1: Check, List and Watch, for the whole server ("") and for each service. Watch sends a status when it
 * changes.
 */
import type { ServiceImpl } from "@connectrpc/connect";
import { Fault } from "../fault.ts";
import { type Health, HealthCheckResponse_ServingStatus as Status } from "../gen/grpc/health/v1/health_pb.js";
import { faultOfAbort, signalOf } from "./calls/abort.ts";
import { callOf } from "./calls/call-context.ts";
import type { Readiness } from "./readiness.ts";

/** Creates the handlers. `services` are the names of the services that are served. */
export function healthService(readiness: Readiness, services: readonly string[]): ServiceImpl<typeof Health> {
  const known = new Set(["", ...services]);
  const current = (): Status => (readiness.reasons().length === 0 ? Status.SERVING : Status.NOT_SERVING);
  return {
    check({ service }) {
      if (!known.has(service)) {
        throw new Fault("not-found", {
          message: `there is no service "${service}" here`,
          facts: { service },
        });
      }
      return { status: current() };
    },

    list() {
      const status = current();
      return { statuses: Object.fromEntries([...known].map((name) => [name, { status }])) };
    },

    async *watch({ service }, context) {
      const signal = signalOf(callOf(context), context.signal);
      const statusNow = (): Status => (known.has(service) ? current() : Status.SERVICE_UNKNOWN);
      let wake: () => void = () => undefined;
      const stopListening = readiness.onChange(() => wake());
      const onAbort = (): void => wake();
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        for (let sent: Status | undefined; ; ) {
          if (signal.aborted) throw faultOfAbort(signal);
          const status = statusNow();
          if (status !== sent) {
            sent = status;
            yield { status };
            continue;
          }
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        signal.removeEventListener("abort", onAbort);
        stopListening();
      }
    },
  };
}
