/** Readers that are far behind share the turns of the event loop with all other work, through every door. */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { createFastPath } from "../../src/api/fast-path/fast-path.ts";
import { ConsumeRequestSchema, TailLogsRequestSchema } from "../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../src/lib/envelope.ts";
import type { LogCatalog, MultiTail, ReadStart, Tail } from "../../src/types.ts";
import { serve } from "../support/http/serve.ts";
import { run } from "../support/log/logs.ts";
import { MemoryLog } from "../support/log/memory-log.ts";
import { until } from "../support/until.ts";

const readers = 10;
const batches = 8;
const takeMs = 4;
/** Slices begin for 8 ms in a turn of the event loop, those of one reader for 5 ms. */
const takesMax = 4;

/** Each batch that is read takes CPU time, as if it was read from a disk. It counts the batches of each turn. */
class BusyLog extends MemoryLog {
  taken = 0;
  seeking = 0;
  mostInTurn = 0;
  /** Reads by tails whose place was not looked for before. It is looked for once: then only turns divide the reads. */
  unprepared = 0;
  #inTurn = 0;
  readonly mayBegin = Promise.withResolvers<void>();

  /** All readers know their start in one turn, as when a leader confirms one read index for all. */
  override async seek(start: ReadStart): Promise<number> {
    this.seeking++;
    await this.mayBegin.promise;
    return super.seek(start);
  }

  override follow(offset: number): Tail {
    const tail = super.follow(offset);
    let prepared = false;
    const needsPlace = (): void => {
      if (!prepared) this.unprepared++;
    };
    const take = (): ReturnType<Tail["take"]> => {
      needsPlace();
      const slice = tail.take(1);
      if (slice === undefined) return undefined;
      this.#count();
      const { user } = process.threadCpuUsage();
      while (process.threadCpuUsage().user - user < takeMs * 1000);
      return slice;
    };
    return {
      get position() {
        return tail.position;
      },
      prepare: () => {
        if (prepared) return undefined;
        return new Promise((resolve) => {
          setImmediate(() => {
            prepared = true;
            resolve();
          });
        });
      },
      take,
      nextBytes: () => {
        needsPlace();
        return tail.nextBytes?.() ?? 0;
      },
      ready: () => tail.ready(),
      [Symbol.dispose]: () => tail[Symbol.dispose](),
    };
  }

  /** Shows itself as a tail of several logs. */
  readonly named: Partial<LogCatalog> = {
    life: 1,
    follow: async (): Promise<MultiTail> => {
      const tail = this.follow(await this.seek({ offset: 0 }));
      return {
        life: 1,
        end: batches,
        get position() {
          return { index: tail.position + 1, sent: 0 };
        },
        ends: () => [],
        take() {
          const slice = tail.take();
          if (slice === undefined) return undefined;
          return { log: { id: 1, name: "a" }, slice, index: slice.firstOffset + 1, from: slice.firstOffset };
        },
        nextBytes: () => tail.nextBytes?.() ?? 0,
        ready: () => tail.ready(),
        [Symbol.dispose]: () => tail[Symbol.dispose](),
      };
    },
  };

  #count(): void {
    this.taken++;
    if (this.#inTurn++ === 0) setImmediate(() => (this.#inTurn = 0));
    this.mostInTurn = Math.max(this.mostInTurn, this.#inTurn);
  }
}

const consumeAll = encodeEnvelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema)));
const tailAll = encodeEnvelope(
  toBinary(TailLogsRequestSchema, create(TailLogsRequestSchema, { prefix: "", fromStart: true })),
);
const rpc =
  (method: string, body: Uint8Array = consumeAll) =>
  () => ({
    headers: {
      ":method": "POST",
      ":path": `/log.v1.${method}`,
      "content-type": "application/grpc+proto",
      te: "trailers",
    },
    body,
  });
const tail = (accept: string) => () => ({
  headers: { ":method": "GET", ":path": "/tail?from=0", accept },
  body: undefined,
});
const doors = {
  "ConsumeStream on the fast path": { ask: rpc("Log/ConsumeStream"), isFast: true },
  "ConsumeBatches on the fast path": { ask: rpc("Log/ConsumeBatches"), isFast: true },
  "ConsumeStream of Connect": { ask: rpc("Log/ConsumeStream"), isFast: false },
  "ConsumeBatches of Connect": { ask: rpc("Log/ConsumeBatches"), isFast: false },
  "TailLogs on the fast path": { ask: rpc("Logs/TailLogs", tailAll), isFast: true },
  "TailLogs of Connect": { ask: rpc("Logs/TailLogs", tailAll), isFast: false },
  "server-sent events": { ask: tail("text/event-stream"), isFast: true },
  "lines of JSON": { ask: tail("application/x-ndjson"), isFast: true },
};

for (const [door, { ask, isFast }] of Object.entries(doors)) {
  for (const count of [readers, 1])
    test(`turn limit of ${door}: ${count} readers that are behind leave time for others`, async () => {
      const log = new BusyLog();
      for (let n = 0; n < batches; n++) await log.append(run(`${n}`));
      await using served = await serve({
        log,
        named: log.named as LogCatalog,
        ...(isFast ? { fastPath: createFastPath } : {}),
      });
      const sessions = Array.from({ length: count }, () => connect(served.url));
      try {
        for (const session of sessions) {
          const asked = ask();
          const request = session.request(asked.headers);
          request.on("error", () => undefined);
          request.on("data", () => undefined);
          request.end(asked.body);
        }
        await until("all wait for their start", () => log.seeking === count);
        log.mayBegin.resolve();
        await until("all have read the log", () => log.taken >= count * batches);
        // A tail of several logs has its place in the Raft log, and looks for none.
        if (!door.startsWith("TailLogs")) assert.equal(log.unprepared, 0);
        assert.ok(log.mostInTurn <= takesMax, `${log.mostInTurn} batches in one turn`);
      } finally {
        for (const session of sessions) session.destroy();
      }
    });
}
