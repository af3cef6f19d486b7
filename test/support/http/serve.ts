/** A service on a real socket for tests, with a log in memory or another one, on a free port of loopback. */
import { AccessControl } from "../../../src/access/mod.ts";
import { createService } from "../../../src/api/mod.ts";
import type { Service, ServiceOptions } from "../../../src/api/service.ts";
import { noTelemetry, type Telemetry } from "../../../src/lib/telemetry.ts";

import { systemClock } from "../../../src/lib/time/clock.ts";
import { MemoryBudget } from "../../../src/memory/memory-budget.ts";
import { connectionLimits } from "../../../src/server/connections/connection-limits.ts";
import type { HttpLimits } from "../../../src/server/http/http-limits.ts";
import { Listener, type PortHandlers } from "../../../src/server/listener.ts";
import type { TlsSource } from "../../../src/server/tls/tls-handshakes.ts";
import { MemoryLog } from "../log/memory-log.ts";
import { singleView } from "../peer/single-view.ts";

export interface ServeOptions
  extends Partial<
    Pick<
      ServiceOptions,
      | "opsAddress"
      | "log"
      | "named"
      | "origins"
      | "fastPath"
      | "pages"
      | "heartbeatMs"
      | "responseMs"
      | "tokens"
      | "tickets"
      | "login"
      | "filterMs"
      | "operations"
      | "backup"
    >
  > {
  /** The memory budget's limit, bytes. */
  readonly memoryBytesMax?: number;
  readonly access?: ServiceOptions["access"];
  readonly telemetry?: Telemetry;
  readonly tls?: TlsSource;
  readonly http?: HttpLimits;
  readonly detectionMs?: number;
  readonly handshakesMax?: number;
  readonly stalledMs?: number;
  readonly connectionsMax?: number;
  readonly perClientMax?: number;
  readonly recordBytesMax?: number;
  readonly requestBytesMax?: number;
  readonly handlers?: PortHandlers;
}

export interface Served extends AsyncDisposable {
  readonly service: Service;
  readonly memory: MemoryBudget;
  readonly listener: Listener;
  readonly log: MemoryLog;
  readonly port: number;
  /** `http://127.0.0.1:…` or https. */
  readonly url: string;
  /** Why the node is not ready; tests may set it. */
  setReasons(reasons: readonly string[]): void;
}

export async function serve(options: ServeOptions = {}): Promise<Served> {
  const log = options.log ?? new MemoryLog();
  const memory = new MemoryBudget({ limit: options.memoryBytesMax ?? 256 * 2 ** 20, clock: systemClock });
  const listener = await Listener.bind({
    address: { host: "127.0.0.1", port: 0 },
    tls: options.tls,
    memory,
    connections: {
      ...connectionLimits({
        connectionsMax: options.connectionsMax ?? 1024,
        perClientMax: options.perClientMax ?? options.connectionsMax ?? 1024,
        descriptors: undefined,
      }),
      ...(options.stalledMs === undefined ? {} : { stalledMs: options.stalledMs }),
    },
    log: (options.telemetry ?? noTelemetry).log,
    ...(options.http === undefined ? {} : { http: options.http }),
    ...(options.detectionMs === undefined ? {} : { detectionMs: options.detectionMs }),
    ...(options.handshakesMax === undefined ? {} : { handshakesMax: options.handshakesMax }),
  });
  const { port } = listener.address;
  let reasons: readonly string[] = [];
  const listeners = new Set<() => void>();
  const service = createService({
    log,
    named: options.named,
    cluster: singleView({
      extent: () => (log instanceof MemoryLog ? { next: log.next, index: log.next } : { next: 0, index: 0 }),
      nodeId: "test",
      clusterId: "c",
      rpcAddr: `127.0.0.1:${port}`,
      version: "test",
    }),
    access: options.access ?? new AccessControl(),
    readiness: {
      reasons: () => reasons,
      onChange(changed) {
        listeners.add(changed);
        return () => listeners.delete(changed);
      },
    },
    clock: systemClock,
    telemetry: options.telemetry ?? noTelemetry,
    origins: options.origins ?? { origins: [], hosts: [] },
    version: "test",
    recordBytesMax: options.recordBytesMax ?? 1024 * 1024,
    requestBytesMax: options.requestBytesMax ?? 4 * 1024 * 1024,
    ...(options.fastPath === undefined ? {} : { fastPath: options.fastPath }),
    ...(options.pages === undefined ? {} : { pages: options.pages }),
    opsAddress: options.opsAddress,
    tokens: options.tokens,
    tickets: options.tickets,
    login: options.login,
    filterMs: options.filterMs,
    ...(options.operations === undefined ? {} : { operations: options.operations }),
    backup: options.backup,
    ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
    memory,
    ...(options.responseMs === undefined ? {} : { responseMs: options.responseMs }),
  });
  listener.start(service.router, options.handlers);
  return {
    service,
    memory,
    listener,
    log: log as MemoryLog,
    port,
    url: `${options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    setReasons(now) {
      reasons = now;
      for (const changed of listeners) changed();
    },
    async [Symbol.asyncDispose]() {
      service.drain();
      await listener.close(500);
    },
  };
}
