/**
 * A cluster in memory for the tests of the client. Its nodes serve shared logs over the router transport of Connect,
 * without sockets. A test can make them fail, lag, reject, stay silent, cut a stream or damage a batch.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createRouterTransport,
  type ServiceImpl,
  type Transport,
} from "@connectrpc/connect";
import { connectErrorOf } from "../../../src/api/calls/error-mapping.ts";
import type { CommonOptions } from "../../../src/client/client.ts";
import { type Dial, TailraceClient } from "../../../src/client/public-api.ts";
import { Fault } from "../../../src/fault.ts";
import {
  type ConsumeRequest,
  Log,
  Logs,
  type ProduceBatchRequest,
  ReadMode,
  type RecordBatch,
  RecordBatchSchema,
  type TailLogsRequest,
  type TailLogsResponseSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { crc32 } from "../../../src/lib/checksum.ts";
import { defaultSettings, encodeRun } from "../../../src/log/mod.ts";
import type { Appended, Role } from "../../../src/types.ts";
import type { MemoryLog } from "../../support/log/memory-log.ts";
import { type FakeLog, FakeLogs } from "./fake-logs.ts";

export type TailLogsInit = MessageInitShape<typeof TailLogsResponseSchema>;

/** What happens to the next append at this node. */
export type Mishap = "lost" | "written-unanswered" | "hangs" | Fault;

export class FakeNode {
  readonly addr: string;
  role: Role = "follower";
  isDown = false;
  /** It has just started, and does not know the leader yet. */
  knowsNoLeader = false;
  /** The number of records that it has not applied yet. */
  lag = 0;
  /** It answers, but its streams send nothing: it no longer receives records from its cluster. */
  isMute = false;
  /** Each stream breaks after so many batches. */
  cutAfter = Number.POSITIVE_INFINITY;
  /** The code with which its streams break. A lost connection is Code.Canceled. */
  cutCode = Code.Aborted;
  /** Whether one bit of every batch that it sends is flipped. */
  isDamaged = false;
  mishaps: Mishap[] = [];
  /** The names of the RPCs that it received. */
  calls: string[] = [];
  requests: ConsumeRequest[] = [];
  appends: ProduceBatchRequest[] = [];
  /** RPCs that fail with "permission-denied". */
  denied: readonly string[] = [];
  batchesSent = 0;
  openStreams = 0;

  constructor(addr: string) {
    this.addr = addr;
  }
}

export class FakeCluster {
  readonly logs = new FakeLogs();
  readonly nodes: readonly FakeNode[];
  term = 1;
  /** Connections that nodes which are down have refused. */
  refused = 0;
  /** Serves TailLogs at a node. */
  onTailLogs: ((node: FakeNode, request: TailLogsRequest) => AsyncIterable<TailLogsInit>) | undefined;

  constructor(...addrs: readonly string[]) {
    this.nodes = addrs.map((addr) => new FakeNode(addr));
    this.nodes[0]!.role = "leader";
  }

  /** The log `default`. */
  get log(): MemoryLog {
    return this.logs.default.log;
  }

  node(addr: string): FakeNode {
    return this.nodes.find((node) => node.addr === addr)!;
  }

  lead(addr: string): void {
    for (const node of this.nodes) node.role = node.addr === addr ? "leader" : "follower";
    this.term++;
  }

  /** Opens a client. The caller closes it. */
  client(options: CommonOptions & { readonly seeds?: readonly string[] } = {}): TailraceClient {
    const { seeds = [this.nodes[0]!.addr] } = options;
    const backoff = { firstMs: 1, maxMs: 5 };
    return new TailraceClient({ seeds, dial: this.dial, crc32, seed: "test" }, { backoff, ...options });
  }

  readonly dial: Dial = (addr) => {
    const node = this.node(addr);
    const inner = createRouterTransport(({ service }) => {
      service(Log, this.#serve(node));
      const rpcs = this.logs.service((rpc) => {
        if (node.denied.includes(rpc)) throw new Fault("permission-denied");
      });
      const { onTailLogs } = this;
      service(
        Logs,
        onTailLogs === undefined ? rpcs : { ...rpcs, tailLogs: (request) => onTailLogs(node, request) },
      );
    });
    const reach = (): void => {
      if (!node.isDown) return;
      this.refused++;
      const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
      throw new ConnectError("connect ECONNREFUSED", Code.Unavailable, undefined, undefined, cause);
    };
    const transport: Transport = {
      async unary(...args) {
        reach();
        node.calls.push(args[0].localName);
        return inner.unary(...args);
      },
      async stream(...args) {
        reach();
        node.calls.push(args[0].localName);
        return inner.stream(...args);
      },
    };
    return { transport, close: () => {} };
  };

  #serve(node: FakeNode): Partial<ServiceImpl<typeof Log>> {
    const { logs } = this;
    const nextOn = async (log: MemoryLog): Promise<number> =>
      Math.max(0, (await log.bounds()).next - node.lag);
    const outOfRange = async (log: MemoryLog, offset: number): Promise<Fault> =>
      new Fault("out-of-range", {
        facts: { offset, lowest: (await log.bounds()).lowest, next: await nextOn(log) },
      });
    return {
      getServers: () => ({
        servers: this.nodes.map(({ addr, role }) => ({
          id: addr,
          rpcAddr: addr,
          isLeader: role === "leader" && !node.knowsNoLeader,
          role: node.knowsNoLeader ? "follower" : role,
          term: BigInt(this.term),
        })),
      }),
      describe: (request) =>
        asConnectError(async () => {
          const { log, id } = this.logs.open(request);
          const { lowest } = await log.bounds();
          return { lowestOffset: BigInt(lowest), nextOffset: BigInt(await nextOn(log)), logId: id };
        }),
      produceBatch: (request, { signal }) =>
        asConnectError(async () => {
          node.appends.push(request);
          const mishap = node.mishaps.shift();
          if (mishap instanceof Fault) throw mishap;
          if (mishap === "lost") throw new ConnectError("cut", Code.Aborted);
          if (mishap === "hangs") await new Promise((_, reject) => signal.addEventListener("abort", reject));
          const target = this.logs.open(request);
          const appended = await this.#append(target, request);
          if (mishap === "written-unanswered") throw new ConnectError("cut", Code.Aborted);
          const { firstOffset, count, timestampMs, duplicate } = appended;
          const token = target.id === "" || node.lag > 0 ? undefined : `s7.${++target.batches}`;
          return {
            ...(token === undefined ? {} : { token }),
            firstOffset: BigInt(firstOffset),
            count,
            timestampMs: BigInt(timestampMs),
            duplicate,
            logId: target.id,
          };
        }),
      consume: (request) =>
        asConnectError(async () => {
          node.requests.push(request);
          const { log, id } = this.logs.open(request);
          const offset = await log.seek(
            request.start.case === "last"
              ? { last: Number(request.start.value) }
              : { offset: Number(request.offset) },
          );
          if (offset >= (await nextOn(log))) throw await outOfRange(log, offset);
          await log.read(offset);
          return { record: { offset: BigInt(offset) }, logId: id };
        }),
      consumeStream: async function* (request) {
        node.requests.push(request);
        const { log, id } = await asConnectError(async () => logs.open(request));
        yield { caughtUp: true, endOffset: BigInt(await nextOn(log)), logId: id };
      },
      consumeBatches: (request, { signal }) => this.#batches(node, request, signal, nextOn, outOfRange),
    };
  }

  /** Checks the sequence before it writes, like a node. */
  async #append(target: FakeLog, request: ProduceBatchRequest): Promise<Appended> {
    const { records, producer, expectedOffset } = request;
    const { log, table } = target;
    const run = encodeRun(records);
    const options = expectedOffset === undefined ? {} : { expectedOffset: Number(expectedOffset) };
    if (producer === undefined) return log.append(run, options);
    const { id, epoch, sequence } = producer;
    const stamp = { subject: "s", id, epoch, sequence: Number(sequence) };
    const verdict = table.check(stamp, run.count, log.nowMs, defaultSettings);
    if ("duplicate" in verdict) return { ...verdict.duplicate, duplicate: true };
    const firstOffset = log.end;
    const appending = log.append(run, options); // its place in the log is fixed now
    const index = ++target.batches;
    const batch = { index, sequence: stamp.sequence, count: run.count, firstOffset };
    table.stage(stamp, { ...batch, timestampMs: log.nowMs });
    table.commitTo(index, defaultSettings);
    return appending;
  }

  async *#batches(
    node: FakeNode,
    request: ConsumeRequest,
    signal: AbortSignal,
    nextOn: (log: MemoryLog) => Promise<number>,
    outOfRange: (log: MemoryLog, offset: number) => Promise<Fault>,
  ): AsyncGenerator<RecordBatch> {
    node.requests.push(request);
    node.openStreams++;
    const from = Number(request.offset);
    try {
      const { log } = this.logs.open(request);
      if (from > (await nextOn(log))) throw await outOfRange(log, from);
      using tail = log.follow(from);
      const stop = (): void => tail[Symbol.dispose]();
      signal.addEventListener("abort", stop);
      for (let sent = 0; ; sent++) {
        if (node.isMute) await new Promise((resolve) => signal.addEventListener("abort", resolve));
        let slice = tail.take();
        while (slice === undefined) {
          if (request.stopAtEnd || !(await tail.ready())) return;
          slice = tail.take();
        }
        if (sent >= node.cutAfter || node.isDown) throw new ConnectError("cut", node.cutCode);
        node.batchesSent++;
        yield undecoded(node.isDamaged ? damaged(slice.frames) : slice.frames);
        if (request.maxRecords === 1n) return;
      }
    } catch (reason) {
      throw connectErrorOf(reason);
    } finally {
      node.openStreams--;
    }
  }
}

async function asConnectError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (reason) {
    throw connectErrorOf(reason);
  }
}

function undecoded(frame: Uint8Array): RecordBatch {
  const batch = create(RecordBatchSchema);
  batch.$unknown = [{ no: frame[5]! >>> 3, wireType: frame[5]! & 7, data: frame.subarray(6) }];
  return batch;
}

function damaged(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  copy[copy.length - 1]! ^= 1;
  return copy;
}

/** The read mode of a request, and the offset that its session has seen. */
export const freshnessOf = ({ readMode, seenOffset }: ConsumeRequest): readonly [string, bigint] => [
  ReadMode[readMode],
  seenOffset,
];
