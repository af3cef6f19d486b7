/** Appends of `produce`: what is repeated, and what a fault says about the records. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { RunAppender } from "../../../../src/cli/produce/append-run.ts";
import { encodeRun } from "../../../../src/client/mod.ts";
import { Fault } from "../../../../src/fault.ts";
import { ProduceBatchResponseSchema } from "../../../../src/gen/log/v1/log_pb.js";
import { prng } from "../../../../src/lib/prng.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const runOf = (count: number) => encodeRun(Array.from({ length: count }, (_, at) => `record ${at}`));

/** An appender to a node that `refuse` decides for: it gets the first record and the count of a request. */
function appenderTo(refuse: (first: number, count: number) => Fault | undefined, isAtomic = false) {
  const appended: number[] = [];
  let requests = 0;
  const time = new VirtualTime();
  const target = {
    log: {},
    send: async ({ $unknown }: { $unknown?: readonly { data: Uint8Array }[] | undefined }) => {
      requests++;
      const text = Buffer.from($unknown![0]!.data).toString("latin1");
      const numbers = [...text.matchAll(/record (\d+)/g)].map(([, number]) => Number(number));
      const fault = refuse(numbers[0]!, numbers.length);
      if (fault !== undefined) throw fault;
      const firstOffset = BigInt(appended.length);
      appended.push(...numbers);
      return create(ProduceBatchResponseSchema, { firstOffset, count: numbers.length });
    },
    onAppended: (): undefined => undefined,
    clock: time.clock(),
    chance: prng(1),
  };
  const appender = new RunAppender(target, isAtomic);
  return { appender, appended, time, requests: () => requests };
}

/** Lets the time pass until the promise is settled. */
async function runTo(time: VirtualTime, end: Promise<void>): Promise<void> {
  let isOver = false;
  end.finally(() => (isOver = true)).catch(() => undefined);
  for (await new Promise(setImmediate); !isOver; await new Promise(setImmediate)) time.step();
  await end;
}

test("exactly the records before one that is refused are appended, in order", async () => {
  for (const bad of [0, 1, 6, 99]) {
    const { appender, appended, requests } = appenderTo((first, count) =>
      first <= bad && bad < first + count ? new Fault("too-large") : undefined,
    );
    await assert.rejects(appender.append(runOf(100)), { kind: "too-large", facts: { records_before: bad } });
    assert.deepEqual(
      appended,
      Array.from({ length: bad }, (_, at) => at),
    );
    assert.ok(requests() <= 16, `${requests()} requests`);
  }
});

test("a log that is full takes as many records as it has room for", async () => {
  const { appender, appended } = appenderTo((first, count) =>
    first + count > 42 ? new Fault("failed-precondition") : undefined,
  );
  await assert.rejects(appender.append(runOf(100)), { facts: { records_before: 42 } });
  assert.equal(appended.length, 42);
});

test("an atomic batch is not divided", async () => {
  const { appender, appended, requests } = appenderTo(() => new Fault("too-large"), true);
  await assert.rejects(appender.append(runOf(100)), { facts: { records_before: 0 } });
  assert.deepEqual([appended.length, requests()], [0, 1]);
});

test("an unknown outcome is not repeated, and the fault says of how many records it is not known", async () => {
  let fails = false;
  const { appender, requests } = appenderTo(() =>
    fails ? new Fault("too-large", { written: "unknown" }) : undefined,
  );
  await appender.append(runOf(7));
  fails = true;
  await assert.rejects(appender.append(runOf(5)), {
    written: "unknown",
    facts: { records_before: 7, records_unknown: 5 },
  });
  assert.equal(requests(), 2);
});

test("other faults end it at once; an overloaded node is asked again for a limited time", async () => {
  const refused = appenderTo(() => new Fault("unavailable"));
  await assert.rejects(refused.appender.append(runOf(5)), { kind: "unavailable" });
  assert.equal(refused.requests(), 1);

  let refusals = 3;
  const busy = appenderTo(() => (refusals-- > 0 ? new Fault("overloaded") : undefined));
  const appending = busy.appender.append(runOf(5));
  await runTo(busy.time, appending);
  assert.deepEqual([busy.appended.length, busy.requests()], [5, 4]);

  const never = appenderTo(() => new Fault("overloaded"));
  const failing = assert.rejects(never.appender.append(runOf(5)), { kind: "overloaded" });
  await runTo(never.time, failing);
  assert.ok(never.time.now >= 30_000 && never.time.now < 35_000, `${never.time.now} ms`);
});
