/**
 * A rolling upgrade from a release without named logs, with nodes and clients of both releases under load. The old release is
 * unpacked from the history; TAILRACE_OLD_RELEASE names another revision, or a directory.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import * as newLibrary from "../../src/client/mod.ts";
import { type ClusterNode, processWait, type TestCluster } from "../support/process/cluster.ts";
import { ended, startCommand, tailrace } from "../support/process/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { oldRelease } from "./old-release.ts";
import { lead, olderIn, openOldCluster, restart } from "./upgrade-steps.ts";

type Library = Pick<typeof newLibrary, "openClient">;

/** A client that appends to `default` and follows it. */
class Load {
  readonly name: string;
  readonly #client: newLibrary.TailraceClient;
  readonly #stop = new AbortController();
  readonly #done: Promise<unknown>;
  /** Value → its acknowledged offset. */
  readonly acked = new Map<string, number>();
  readonly unknown = new Set<string>();
  readonly shown: string[] = [];
  failure: unknown;

  constructor(name: string, { openClient }: Library, addrs: readonly string[]) {
    this.name = name;
    this.#client = openClient({ addrs });
    this.#done = Promise.all([this.#append(), this.#follow()]).catch((reason: unknown) => {
      this.failure = reason;
    });
  }

  async #append(): Promise<void> {
    const producer = this.#client.producer({ deliveryMs: 60_000 });
    const sent: Promise<void>[] = [];
    for (let n = 0; !this.#stop.signal.aborted; n++) {
      const value = `${this.name}-${n}`;
      const settle = producer.send({ value }).then(
        ({ firstOffset }) => void this.acked.set(value, firstOffset),
        (fault: { written?: string }) => void (fault.written === "unknown" && this.unknown.add(value)),
      );
      sent.push(settle);
      if (n % 5 === 4) await settle;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all(sent);
    await producer[Symbol.asyncDispose]();
  }

  async #follow(): Promise<void> {
    try {
      for await (const { offset, value } of this.#client.consume({ from: 0, signal: this.#stop.signal })) {
        assert.equal(offset, this.shown.length, `the tail of ${this.name} has a gap or a duplicate`);
        this.shown.push(Buffer.from(value).toString());
      }
    } catch (reason) {
      if (!this.#stop.signal.aborted) throw reason;
    }
  }

  /** Waits for more acknowledgments. */
  async goesOn(): Promise<void> {
    const { size } = this.acked;
    const holds = (): boolean => this.failure !== undefined || this.acked.size > size + 50;
    await until(`the load of the ${this.name} client goes on`, holds, processWait);
    assert.equal(this.failure, undefined);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await this.#client[Symbol.asyncDispose]();
    assert.equal(this.failure, undefined);
  }
}

async function createFails(cluster: TestCluster, node: ClusterNode): Promise<newLibrary.Fault> {
  await using client = cluster.connect(node);
  return await client.logs.create("orders").then(
    () => assert.fail("a log was created while a node has an older release"),
    (reason: newLibrary.Fault) => reason,
  );
}

/** The values of `default` on this node. */
async function valuesOn(cluster: TestCluster, node: ClusterNode): Promise<string[]> {
  await using client = cluster.connect(node);
  const values: string[] = [];
  for await (const { value } of client.consume({
    from: 0,
    until: "end",
    freshness: { mode: "linearizable" },
  }))
    values.push(Buffer.from(value).toString());
  return values;
}

test("a rolling upgrade loses nothing, and named logs begin when the last node is upgraded", {
  timeout: 900_000,
}, async (t) => {
  const directory = scratch(t);
  const release = oldRelease(join(directory, "old"));
  if (typeof release === "string") {
    console.error(`THE ROLLING UPGRADE IS NOT TESTED: ${release}`);
    t.skip(release);
    return;
  }
  const cluster = await openOldCluster(t, release, directory);
  const oldLibrary = (await import(
    pathToFileURL(join(release.directory, "src/client/mod.ts")).href
  )) as Library;
  const addrs = cluster.nodes.map(({ addr }) => addr);
  const loads = [new Load("old", oldLibrary, addrs), new Load("new", newLibrary, addrs)];
  t.after(() => Promise.allSettled(loads.map((load) => load.end())));
  const step = async (name: string, work: () => Promise<void>): Promise<void> => {
    t.diagnostic(name);
    await work();
  };
  const goOn = (): Promise<unknown> => Promise.all(loads.map((load) => load.goesOn()));
  const [one, two, three] = cluster.nodes as [ClusterNode, ClusterNode, ClusterNode];
  await goOn();

  await step("an upgraded node keeps the format: the old release opens its directory again", async () => {
    await restart(cluster, one, undefined);
    await goOn();
    await restart(cluster, one, release.bin);
    await goOn();
  });

  await step(
    "until the last node is upgraded, a log is not created, and the older nodes are named",
    async () => {
      await restart(cluster, one, undefined);
      await lead(cluster, three);
      assert.deepEqual(olderIn(await createFails(cluster, one)), ["n2", "n3"]);
      await nothingNamed(cluster, one);
      await lead(cluster, one);
      assert.deepEqual(olderIn(await createFails(cluster, one)), ["n2", "n3"]);
      await goOn();
      await restart(cluster, two, undefined);
      await lead(cluster, two);
      for (const node of [one, two]) assert.deepEqual(olderIn(await createFails(cluster, node)), ["n3"]);
      await goOn();
      await restart(cluster, three, undefined);
      await goOn();
    },
  );

  await step("afterwards a log is created, written and read at every node", async () => {
    await using client = cluster.connect();
    await until(
      "all members have said that they have named logs",
      () =>
        client.logs.create("orders", {}, { ifNotExists: true }).then(
          () => true,
          (fault: newLibrary.Fault) =>
            assert.equal(fault.facts.reason, "OLD_MEMBERS", fault.message) ?? false,
        ),
      processWait,
    );
    for (const [at, node] of cluster.nodes.entries()) {
      await using own = cluster.connect(node);
      assert.equal((await own.log("orders").producer().send(node.name)).firstOffset, at);
      assert.equal(Buffer.from((await own.log("orders").read(at)).frames).includes(node.name), true);
    }
    await goOn();
  });

  await step("no acknowledged record is lost or doubled, and all nodes have the same", async () => {
    for (const load of loads) await load.end();
    const values = await valuesOn(cluster, one);
    assert.equal(values.includes("named"), false);
    assert.equal(new Set(values).size, values.length, "no record is there twice");
    for (const { acked, shown } of loads) {
      for (const [value, offset] of acked) assert.equal(values[offset], value);
      assert.deepEqual(shown, values.slice(0, shown.length));
    }
    for (const node of [two, three]) assert.deepEqual(await valuesOn(cluster, node), values);
    t.diagnostic(
      `${values.length} records, ${loads.map(({ name, acked }) => `${name} ${acked.size}`).join(", ")}`,
    );
  });

  await step("a node of the old release cannot join, and the members say why", async () => {
    const late = await cluster.add("late");
    late.command = release.bin;
    cluster.start(late);
    const told = /the log of n\d has level 1, late \(version \S+\) has level 0/;
    await until(
      "a node says that late is too old",
      () => cluster.nodes.some(({ log }) => told.test(log)),
      processWait,
    );
    const { voters, learners } = await cluster.status(one);
    assert.deepEqual([[...voters].sort(), learners], [["n1", "n2", "n3"], []]);
    assert.notEqual(await cluster.unready(late), undefined);
    t.diagnostic(told.exec(cluster.nodes.map(({ log }) => log).join())?.[0] ?? "");
    await cluster.stop(late, "SIGKILL");
  });

  await step("the old release refuses a directory with named logs and changes nothing", async () => {
    await cluster.stop(three);
    const child = startCommand(
      ["serve", "--data-dir", three.directory, "--addr", three.addr],
      {},
      release.bin,
    );
    const { status, err } = await ended(child);
    assert.notEqual(status, 0);
    assert.match(err, /format|version/);
    const { out } = await tailrace(["verify", three.directory]);
    assert.match(out, /^ok /m);
    cluster.start(three);
    await cluster.whole(["n1", "n2", "n3"]);
  });
});

/** An append, a read and a trim that name a log are refused, and do nothing to `default`. */
async function nothingNamed(cluster: TestCluster, node: ClusterNode): Promise<void> {
  await using client = cluster.connect(node);
  const { lowest } = await client.commitLog.bounds();
  const asked = [
    client.rpc.log.produce({ record: { value: Buffer.from("named") }, log: "orders" }),
    client.rpc.log.consume({ offset: 0n, log: "orders" }),
    client.rpc.log.trim({ beforeOffset: 1n, log: "orders" }),
  ];
  for (const { status } of await Promise.allSettled<unknown>(asked)) assert.equal(status, "rejected");
  assert.equal((await client.commitLog.bounds()).lowest, lowest);
}
