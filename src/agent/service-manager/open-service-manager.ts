/** Opens the notifications to the service manager of this process, from the parts of a node. */
import { reasonsNotReady } from "../../api/mod.ts";
import type { Logger } from "../../lib/telemetry.ts";
import type { Clock } from "../../lib/time/clock.ts";
import type { OpenedCluster } from "../cluster/open-cluster.ts";
import type { NodeReadiness } from "../node-readiness.ts";
import { openNotifySocket } from "./notify-socket.ts";
import { ServiceManager, type ServiceManagerOptions } from "./service-manager.ts";

export interface OpenServiceManagerOptions extends Pick<ServiceManagerOptions, "environment"> {
  readonly cluster: Pick<OpenedCluster, "view">;
  readonly readiness: NodeReadiness;
  readonly clock: Clock;
  readonly logger: Pick<Logger, "warn" | "info">;
}

export function openServiceManager(options: OpenServiceManagerOptions): ServiceManager {
  const { environment, cluster, readiness, clock, logger } = options;
  return new ServiceManager({
    environment,
    pid: process.pid,
    logger,
    open(address) {
      try {
        return openNotifySocket(address);
      } catch (err) {
        logger.warn({ err }, "the service manager cannot be notified");
        return undefined;
      }
    },
    clock,
    reasons: () => reasonsNotReady(cluster.view, readiness),
    onChange(listener) {
      const ends = [readiness.onChange(listener), cluster.view.onChange(listener)];
      return () => {
        for (const end of ends) end();
      };
    },
  });
}
