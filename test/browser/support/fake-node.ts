/**
 * A scripted node for states that a healthy server does not show: log.v1 by Connect's own handler over records in
 * memory, on HTTP/1.1. The flows of the dashboard are tested against the real server.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createStaticFiles, type StaticFilesExchange, sites } from "../../../src/api/http/static-files.ts";
import type { Fault } from "../../../src/fault.ts";
import { compileFilter, type Filter } from "../../../src/filter/mod.ts";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import {
  Cluster,
  type ConsumeRequest,
  type CursorSchema,
  Cursors,
  Log,
  Logs,
  type NodeStateSchema,
  type RecordSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { recordCursor } from "../../support/filter/record-cursor.ts";

export type RecordInit = MessageInitShape<typeof RecordSchema>;
type NodeInit = MessageInitShape<typeof NodeStateSchema>;
interface ClusterInit {
  nodeId: string;
  leaderId: string;
  term: bigint;
  hasQuorum: boolean;
  nodes: NodeInit[];
}

export type Value = string | Uint8Array | RecordInit;

/** The exchange for a page request, as the static files module expects it. */
const pageExchange = (request: IncomingMessage, response: ServerResponse): StaticFilesExchange => ({
  method: request.method ?? "GET",
  target: request.url ?? "/",
  headers: request.headers,
  send: (status, headers, body) => void response.writeHead(status, headers).end(body),
});

export class FakeNode {
  readonly records: RecordInit[] = [];
  /** The names of its logs, in order. */
  logNames: readonly string[] = [];
  lowest = 0;
  actions: string[] = ["produce", "consume", "describe", "trim", "admin"];
  subject = "local";
  cluster: ClusterInit = {
    nodeId: "node-1",
    leaderId: "node-1",
    term: 3n,
    hasQuorum: true,
    nodes: [],
  };
  /** Addresses of other nodes, for GetServers and the content policy. */
  peers: string[] = [];
  /** The error that every stream receives while it is set. */
  refusal: ConnectError | undefined;
  /** p50 and p99 of an append, as Watch reports them. */
  latencyMs: readonly [number, number] = [0.8, 3.1];
  /** Records that one read with a filter evaluates before it is suspended. Undefined: the node does not know filters. */
  filteredMax: number | undefined;
  /** Reads with a filter wait for it before they evaluate. */
  filterGate: Promise<void> = Promise.resolve();
  /** Where reads with a filter began. */
  readonly filteredFrom: number[] = [];
  /** Number of open ConsumeStreams. */
  tails = 0;
  #server: Server | undefined;
  #port = 0;
  #wakers = new Set<() => void>();
  #counted = { records: 0, bytes: 0 };

  get origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Listens. After stop() it listens on the same port again. */
  async start(): Promise<void> {
    const routes = (router: ConnectRouter): void => this.#routes(router);
    const rpc = connectNodeAdapter({ routes });
    const pages = createStaticFiles({
      disk: systemDisk,
      site: sites.dashboard,
      directory: join(dirname(fileURLToPath(import.meta.url)), "../../../web/dist"),
      connectOrigins: () => this.peers.map((peer) => `http://${peer}`),
    });
    this.#server = createServer((request, response) => {
      const { origin } = request.headers;
      if (origin !== undefined) {
        response.setHeader("access-control-allow-origin", origin);
        response.setHeader("access-control-allow-credentials", "true");
        response.setHeader(
          "access-control-allow-headers",
          "content-type, connect-protocol-version, connect-timeout-ms",
        );
      }
      if (request.method === "OPTIONS") response.writeHead(204).end();
      else if (!pages(pageExchange(request, response))) rpc(request, response);
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await new Promise((resolve) => this.#server?.once("listening", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every connection, like a kill. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve) ?? resolve(undefined));
  }

  append(...values: readonly Value[]): number {
    for (const value of values) {
      const given: RecordInit =
        typeof value === "string"
          ? { value: Buffer.from(value) }
          : value instanceof Uint8Array
            ? { value: value as Uint8Array<ArrayBuffer> }
            : value;
      this.records.push({
        timestampMs: BigInt(Date.now()),
        ...given,
        offset: BigInt(this.records.length),
        term: 3n,
      });
      this.#counted.records++;
      this.#counted.bytes += given.value?.length ?? 0;
    }
    this.wake();
    return this.records.length;
  }

  /** Wakes every waiting stream. */
  wake(): void {
    for (const waker of this.#wakers) waker();
    this.#wakers.clear();
  }

  #waitForChange(signal: AbortSignal, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wakers.add(() => {
        clearTimeout(timer);
        resolve();
      });
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #check(action: string): void {
    if (this.refusal !== undefined) throw this.refusal;
    if (!this.actions.includes(action)) {
      throw fault(Code.PermissionDenied, `${this.subject} may not ${action}`, { action });
    }
  }

  #start(request: ConsumeRequest): number {
    const next = this.records.length;
    const { start } = request;
    if (start.case === "last") return Math.max(this.lowest, next - Number(start.value));
    if (start.case === "fromEnd") return next;
    if (start.case === "fromTimeMs") {
      const at = this.records.findIndex((record) => (record.timestampMs ?? 0n) >= start.value);
      return at < 0 ? next : Math.max(this.lowest, at);
    }
    return Number(request.offset);
  }

  /** A read with a filter, as a node sends it: positions before, and after what it has evaluated. */
  async *#filtered(request: ConsumeRequest, from: number, most: number) {
    const end = Number(request.endOffset ?? this.records.length);
    const position = (next: number) => ({ nextOffset: BigInt(next), endOffset: BigInt(end) });
    const { filter } = request;
    this.filteredFrom.push(from);
    const compiled = compiledFilter(filter);
    yield position(from);
    await this.filterGate;
    const to = Math.min(end, from + most);
    for (const record of this.records.slice(from, to)) {
      const { key = new Uint8Array(0), value = new Uint8Array(0) } = record;
      if (compiled.matches(recordCursor({ key, value })) === true) yield { record };
    }
    yield { ...position(to), suspended: to < end };
  }

  /** The cursors of the log, by name. */
  cursors: MessageInitShape<typeof CursorSchema>[] = [];

  #routes(router: ConnectRouter): void {
    const node = this;
    const inRange = (offset: number): void => {
      const next = node.records.length;
      if (offset < node.lowest || offset > next) {
        const facts = { lowest: String(node.lowest), next: String(next) };
        throw fault(
          Code.OutOfRange,
          `offset ${offset} is not in the log, ${node.lowest} to ${next - 1}`,
          facts,
        );
      }
    };
    router.service(Log, {
      consume(request) {
        node.#check("consume");
        inRange(Number(request.offset));
        return { record: node.records[Number(request.offset)] as RecordInit };
      },
      async *consumeStream(request, context) {
        node.#check("consume");
        let at = node.#start(request);
        if (request.filter !== "" && node.filteredMax !== undefined) {
          yield* node.#filtered(request, at, node.filteredMax);
          return;
        }
        node.tails++;
        try {
          for (;;) {
            node.#check("consume");
            inRange(at);
            while (at < node.records.length) yield { record: node.records[at++] as RecordInit };
            yield { caughtUp: true, endOffset: BigInt(node.records.length) };
            await node.#waitForChange(context.signal, 5_000);
            if (context.signal.aborted) return;
          }
        } finally {
          node.tails--;
        }
      },
      produceBatch(request) {
        node.#check("produce");
        const firstOffset = BigInt(node.records.length);
        node.append(...request.records.map(({ value, key, headers }) => ({ value, key, headers })));
        return { firstOffset, count: request.records.length, timestampMs: BigInt(Date.now()) };
      },
      getServers: () => ({
        servers: [node.address, ...node.peers].map((rpcAddr, index) => ({
          id: `node-${index + 1}`,
          rpcAddr,
        })),
      }),
      describe: () => {
        node.#check("describe");
        return node.#describe();
      },
      async *watch(request, context) {
        node.#check("describe");
        const intervalMs = request.intervalMs || 1000;
        for (;;) {
          const atMs = BigInt(Date.now());
          yield { atMs, event: { case: "cluster", value: node.#clusterState() } };
          yield { atMs, event: { case: "segments", value: node.#describe() } };
          const before = { ...node.#counted };
          await new Promise((resolve) => setTimeout(resolve, intervalMs));
          if (context.signal.aborted) return;
          node.#check("describe");
          yield {
            atMs: BigInt(Date.now()),
            event: {
              case: "throughput",
              value: {
                intervalMs,
                recordsIn: BigInt(node.#counted.records - before.records),
                bytesIn: BigInt(node.#counted.bytes - before.bytes),
                recordsOut: BigInt(node.#counted.records - before.records),
                bytesOut: BigInt(node.#counted.bytes - before.bytes),
                appendP50Ms: node.latencyMs[0],
                appendP99Ms: node.latencyMs[1],
                tails: 1,
                nextOffset: BigInt(node.records.length),
              },
            },
          };
        }
      },
    });
    router.service(Logs, {
      listLogs({ prefix, after, limit }) {
        const isWanted = (name: string): boolean => name > after && name.startsWith(prefix);
        const from = node.logNames.findIndex(isWanted);
        const names = from < 0 ? [] : node.logNames.slice(from, from + limit + 1).filter(isWanted);
        const logs = names.slice(0, limit).map((name) => ({ name, logId: `1-${name}` }));
        return { logs, next: names.length > limit ? (logs.at(-1)?.name ?? "") : "" };
      },
    });
    router.service(Cursors, {
      list: () => ({ cursors: node.cursors, nextOffset: BigInt(node.records.length) }),
    });
    router.service(Cluster, { whoAmI: () => ({ subject: node.subject, actions: node.actions }) });
  }

  #clusterState(): ClusterInit {
    const self = {
      id: "node-1",
      rpcAddr: this.address,
      role: this.cluster.leaderId === "node-1" ? "leader" : "follower",
      commitIndex: BigInt(this.records.length + 1),
      appliedIndex: BigInt(this.records.length + 1),
      version: "0.1.0",
      healthy: true,
      lastOffset: BigInt(Math.max(0, this.records.length - 1)),
    };
    const peers = this.peers.map((rpcAddr, at) => ({
      id: `node-${at + 2}`,
      rpcAddr,
      role: "follower",
      healthy: true,
    }));
    return { ...this.cluster, nodes: [self, ...peers, ...this.cluster.nodes] };
  }

  #describe() {
    const next = this.records.length;
    const cut = Math.floor(next / 3);
    const segment = (base: number, end: number, sealed: boolean) => ({
      baseOffset: BigInt(base),
      nextOffset: BigInt(end),
      bytes: BigInt(
        this.records.slice(base, end).reduce((sum, { value }) => sum + (value?.length ?? 0) + 40, 0),
      ),
      indexEntries: BigInt(end - base),
      sealed,
      firstTimestampMs: this.records[base]?.timestampMs ?? 0n,
      lastTimestampMs: this.records[end - 1]?.timestampMs ?? 0n,
    });
    const segments =
      next < 30
        ? [segment(0, next, false)]
        : [segment(0, cut, true), segment(cut, cut * 2, true), segment(cut * 2, next, false)];
    return {
      lowestOffset: BigInt(this.lowest),
      nextOffset: BigInt(next),
      bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0n),
      segments,
      nodeId: "node-1",
      clusterId: "c2f1a7d0",
      version: "0.1.0",
      sync: "always",
      diskFreeBytes: 48_318_382_080n,
    };
  }
}

function compiledFilter(text: string): Filter {
  try {
    return compileFilter(text);
  } catch (reason) {
    const { message, facts } = reason as Fault;
    throw fault(Code.InvalidArgument, message, { character: String(facts.character) });
  }
}

/** Creates an error as the server sends it. */
export function fault(code: Code, message: string, metadata: Record<string, string>): ConnectError {
  const info = create(ErrorInfoSchema, {
    reason: "TEST",
    domain: "tailrace",
    metadata: { written: "no", ...metadata },
  });
  return new ConnectError(message, code, undefined, [{ desc: ErrorInfoSchema, value: info }]);
}
