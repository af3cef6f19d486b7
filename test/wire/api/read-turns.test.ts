/** Many readers that are far behind share the turns of the event loop with all other work. */
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { createFastPath } from "../../../src/api/fast-path/fast-path.ts";
import { ConsumeRequestSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import type { ReadStart, Tail } from "../../../src/types.ts";
import { serve } from "../../support/http/serve.ts";
import { run } from "../../support/log/logs.ts";
import { MemoryLog } from "../../support/log/memory-log.ts";
import { longestTurnMs } from "../../support/time/longest-turn.ts";
import { until } from "../../support/until.ts";

const readers = 60;
const takeMs = 4;

/** Each batch that is read takes CPU time, as if it was read from a disk. */
class BusyLog extends MemoryLog {
  taken = 0;
  seeking = 0;
  readonly mayBegin = Promise.withResolvers<void>();

  /** All readers know their start in one turn, as when a leader confirms one read index for all. */
  override async seek(start: ReadStart): Promise<number> {
    this.seeking++;
    await this.mayBegin.promise;
    return super.seek(start);
  }

  override follow(offset: number): Tail {
    const tail = super.follow(offset);
    const take = (): ReturnType<Tail["take"]> => {
      const slice = tail.take();
      if (slice === undefined) return undefined;
      this.taken++;
      const { user } = process.threadCpuUsage();
      while (process.threadCpuUsage().user - user < takeMs * 1000);
      return slice;
    };
    return {
      get position() {
        return tail.position;
      },
      take,
      nextBytes: () => tail.nextBytes?.() ?? 0,
      ready: () => tail.ready(),
      [Symbol.dispose]: () => tail[Symbol.dispose](),
    };
  }
}

for (const method of ["ConsumeStream", "ConsumeBatches"]) {
  test(`sixty readers of ${method} that begin together leave time for others`, async () => {
    const log = new BusyLog();
    await log.append(run("v"));
    await using served = await serve({ log, fastPath: createFastPath });
    const sessions = Array.from({ length: readers }, () => connect(served.url));
    try {
      const start = { case: "last", value: 1n } as const;
      const body = encodeEnvelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { start })));
      for (const session of sessions) {
        const request = session.request({
          ":method": "POST",
          ":path": `/log.v1.Log/${method}`,
          "content-type": "application/grpc+proto",
          te: "trailers",
        });
        request.on("error", () => undefined);
        request.on("data", () => undefined);
        request.end(body);
      }
      await until("all wait for their start", () => log.seeking === readers);
      const longest = await longestTurnMs(async () => {
        log.mayBegin.resolve();
        await until("all read the batch", () => log.taken >= readers);
      });
      assert.ok(longest < (readers * takeMs) / 2, `${longest} ms`);
    } finally {
      for (const session of sessions) session.destroy();
    }
  });
}
