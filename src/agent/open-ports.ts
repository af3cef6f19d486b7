/** Binds the node's port and the ops port. The listener accepts connections, and serves them after its start(). */
import type { Clock } from "../lib/time/clock.ts";
import type { MemoryBudget } from "../memory/mod.ts";
import {
  checkFree,
  connectionLimits,
  descriptorLimit,
  descriptorReserve,
  Listener,
  type NodeTls,
  observeDescriptors,
  openOps,
} from "../server/mod.ts";
import type { NodeTelemetry } from "../telemetry/mod.ts";
import type { Config } from "./config/settings.ts";
import { version } from "./version.ts";

export interface OpenPortsOptions {
  readonly config: Config;
  readonly tls: NodeTls | undefined;
  readonly memory: MemoryBudget;
  readonly telemetry: NodeTelemetry;
  readonly clock: Clock;
}

export interface OpenedPorts extends AsyncDisposable {
  readonly listener: Listener;
  readonly ops: Awaited<ReturnType<typeof openOps>>;
}

/** @throws Fault "config" if an address is in use or cannot be bound */
export async function openPorts(options: OpenPortsOptions): Promise<OpenedPorts> {
  const { config, tls, memory, telemetry, clock } = options;
  const { log } = telemetry;
  await using opening = new AsyncDisposableStack();
  const descriptors = descriptorLimit();
  observeDescriptors(telemetry.metrics, descriptors);
  const connections = connectionLimits({
    connectionsMax: config.connectionsMax,
    perClientMax: config.connectionsPerClientMax,
    descriptors,
  });
  if (connections.clientsMax < config.connectionsMax) {
    log.warn(
      { descriptors, connections: connections.clientsMax, connectionsMax: config.connectionsMax },
      "fewer connections than --connections-max are taken: the limit of descriptors (ulimit -n) allows no more",
    );
  }
  const listener = await Listener.bind({
    address: config.addr,
    tls,
    udp: config.gossipAddr === undefined,
    connections,
    memory,
    log,
    clock,
  });
  opening.defer(() => listener.close(0));
  const { gossipAddr } = config;
  if (gossipAddr !== undefined) await checkFree({ flag: "--gossip-addr", address: gossipAddr });
  const ops = opening.use(
    await openOps(config.opsAddr, config.addr.port, {
      ...(descriptors === undefined
        ? {}
        : { connectionsMax: Math.min(100, Math.ceil(descriptorReserve(descriptors) / 4)) }),
      hosts: config.allowHosts,
      prometheus: () => telemetry.prometheus(),
      version: { version, node: process.version },
      log,
      clock,
    }),
  );
  const owned = opening.move();
  return { listener, ops, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
