/** The lock of a store of backups. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LeaseOptions, WriterLease } from "../../../../src/backup/bucket/writer-lease.ts";
import { Fault } from "../../../../src/fault.ts";
import { MemoryStore } from "../../../support/objects/memory-store.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const times = { renewMs: 10, validMs: 30, staleMs: 75 };

class World {
  readonly time = new VirtualTime();
  readonly store = new MemoryStore();
  readonly waits: string[] = [];

  acquire(id: string, changed: Partial<LeaseOptions> = {}): Promise<WriterLease> {
    return WriterLease.acquire({
      ...{ store: this.store, id, holder: `holder ${id}`, clock: this.time.clock(), times },
      onWait: (holder) => this.waits.push(`${id} waits for ${holder}`),
      ...changed,
    });
  }

  /** Lets time pass until `work` is done. */
  async pass<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    work.then(done, done);
    for (let n = 0; n < 10_000 && !isDone; n++) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      if (!isDone) this.time.step();
    }
    return await work;
  }

  async advance(ms: number): Promise<void> {
    const end = this.time.now + ms;
    while ((this.time.next ?? Number.POSITIVE_INFINITY) <= end) {
      this.time.step();
      for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    }
    this.time.at(end, () => undefined);
    this.time.step();
  }
}

test("a second writer is refused while the first works, and gets the lock after it", async () => {
  const world = new World();
  const first = await world.pass(world.acquire("a"));
  await assert.rejects(world.pass(world.acquire("b")), {
    kind: "locked",
    message: /another backup is being written to memory, by holder a/,
  });
  first.confirm();
  await world.pass(first[Symbol.asyncDispose]());
  assert.equal(world.store.isLocked, false);
  const second = await world.pass(world.acquire("b"));
  second.confirm();
  assert.deepEqual(world.waits, ["b waits for holder a"]);
});

test("the lock of a writer that died is taken over after a while, and then the dead one may do nothing", async () => {
  const world = new World();
  const clock = world.time.clock();
  const dead = await world.pass(
    world.acquire("dead", {
      clock: {
        wallMs: () => clock.wallMs(),
        monotonicMs: () => clock.monotonicMs(),
        after: () => ({ cancel: () => undefined }),
        soon: (callback) => clock.soon(callback),
      },
    }),
  );
  const started = world.time.now;
  const heir = await world.pass(world.acquire("heir"));
  assert.ok(world.time.now - started >= times.staleMs);
  heir.confirm();
  assert.throws(() => dead.confirm(), { kind: "unavailable" });
  await world.pass(dead[Symbol.asyncDispose]());
  assert.equal(world.store.objects.size, 1, "the lock of the heir stays");
});

test("of two writers that wait for a dead one, one gets the lock", async () => {
  const world = new World();
  world.store.objects.set("lock", Buffer.from('{"id":"dead"}'));
  const results = await world.pass(Promise.allSettled([world.acquire("a"), world.acquire("b")]));
  assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

test("a writer that cannot renew its lock stops before another may begin", async () => {
  const world = new World();
  const lease = await world.pass(world.acquire("a"));
  world.store.onOperation = () => {
    throw new Fault("unavailable");
  };
  await world.advance(times.validMs - 5);
  lease.confirm();
  await world.advance(10);
  assert.throws(() => lease.confirm(), { kind: "unavailable", message: /could not be renewed in time/ });
  world.store.onOperation = () => undefined;
  await world.advance(times.renewMs);
  lease.confirm();
  await world.pass(lease[Symbol.asyncDispose]());
});

test("a lock that another writer replaced is lost, also when its own answer was", async () => {
  const world = new World();
  const lease = await world.pass(world.acquire("a"));
  world.store.objects.set("lock", Buffer.from('{"id":"b","holder":"holder b"}'));
  await world.advance(times.renewMs + 1);
  assert.throws(() => lease.confirm(), { kind: "locked", message: /by holder b/ });
  await world.pass(lease[Symbol.asyncDispose]());
  assert.equal(world.store.objects.size, 1);
});

test("an answer that was lost does not lock the writer out", async () => {
  const world = new World();
  world.store.objects.set("lock", Buffer.from('{"id":"a","holder":"holder a"}'));
  const lease = await world.pass(world.acquire("a"));
  lease.confirm();
  await world.pass(lease[Symbol.asyncDispose]());
});

test("a server that ignores conditions is refused", async () => {
  const world = new World();
  const { store } = world;
  const put = store.put.bind(store);
  store.put = (key, data) => put(key, data);
  await assert.rejects(world.pass(world.acquire("a")), {
    kind: "unimplemented",
    message: /ignores conditions/,
  });
  assert.equal(store.objects.size, 0);
});

test("a lock that was released is taken at once, with the names of the last backups", async () => {
  const world = new World();
  const names = Array.from({ length: 50 }, (_, n) => `${String(n).padStart(20, "0")}-20261130T190000Z`);
  for (const name of names) {
    const lease = await world.pass(world.acquire(`writer ${name}`));
    lease.wrote(name);
    await world.pass(lease[Symbol.asyncDispose]());
  }
  assert.deepEqual([world.time.now, world.waits], [0, []]);
  const last = await world.pass(world.acquire("last"));
  assert.deepEqual(last.recent, names.toReversed().slice(0, 40));
  // A writer that dies leaves them, too.
  last.wrote(names[0]!);
  await world.advance(times.renewMs);
  const text = Buffer.from(world.store.objects.get("lock")!).toString();
  world.store.objects.set("lock", Buffer.from(text.replace('"last"', '"dead"')));
  const heir = await world.pass(world.acquire("heir"));
  assert.deepEqual(heir.recent.slice(0, 2), [names[0], names[49]]);
  world.store.objects.set("lock", Buffer.from('{"id":"x","isReleased":true,"recent":["../a",7,null]}'));
  assert.deepEqual((await world.pass(world.acquire("other"))).recent, []);
});

test("of two writers that find a released lock, one gets it", async () => {
  const world = new World();
  await world.pass((await world.pass(world.acquire("first")))[Symbol.asyncDispose]());
  const results = await world.pass(Promise.allSettled([world.acquire("a"), world.acquire("b")]));
  assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

test("a lock counts as unchanged only from the answer that showed it on", async () => {
  const world = new World();
  const { store } = world;
  const renewed = (renewals: number): void =>
    void store.objects.set("lock", Buffer.from(JSON.stringify({ id: "holder", renewals })));
  renewed(1);
  const clock = world.time.clock();
  let looks = 0;
  store.onOperation = async () => {
    if (looks++ === 0) await new Promise<void>((resolve) => clock.after(60, resolve));
  };
  clock.after(59, () => renewed(2));
  await world.pass(world.acquire("heir"));
  assert.ok(world.time.now >= 60 + times.staleMs, `taken at ${world.time.now}`);
});

test("a request that begins while the lock is valid ends before another writer may begin", async () => {
  const world = new World();
  const lease = await world.pass(world.acquire("a"));
  world.store.onOperation = () => {
    throw new Fault("unavailable");
  };
  for (let n = 0; n < times.validMs; n++) {
    const limitMs = lease.confirm();
    assert.ok(limitMs > 0 && world.time.now + limitMs < times.staleMs, `${limitMs} ms at ${world.time.now}`);
    await world.advance(1);
  }
});
