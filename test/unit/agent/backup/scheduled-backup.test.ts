/** When a node makes backups. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ScheduledBackup } from "../../../../src/agent/backup/scheduled-backup.ts";
import { listBackups } from "../../../../src/backup/mod.ts";
import { Fault } from "../../../../src/fault.ts";
import { type Logger, noLogger } from "../../../../src/lib/telemetry.ts";
import type { RetryNotice } from "../../../../src/objects/mod.ts";
import { backupParts } from "../../../../src/replication/mod.ts";
import { Instruments } from "../../../../src/telemetry/instruments.ts";
import { BackupNode, checkBackups } from "../../../support/objects/backup-source.ts";
import { MemoryStore } from "../../../support/objects/memory-store.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const hour = 3_600_000;

class World implements AsyncDisposable {
  readonly time = new VirtualTime();
  readonly clock = this.time.clock();
  readonly store = new MemoryStore();
  readonly lines: string[] = [];
  readonly instruments = new Instruments();
  readonly source: BackupNode;
  leads = false;
  onRetry: ((notice: RetryNotice) => void) | undefined;
  #listener: () => void = () => undefined;
  #backups: ScheduledBackup | undefined;

  private constructor(source: BackupNode) {
    this.source = source;
  }

  static async open(): Promise<World> {
    const source = await BackupNode.open();
    await source.append(10);
    return new World(source);
  }

  start(): ScheduledBackup {
    const note = (_: object, message: string): void => void this.lines.push(message);
    const log: Logger = { ...noLogger, info: note, warn: note };
    const { storedLog, state } = this.source.node.replica!;
    let writers = 0;
    this.#backups = new ScheduledBackup({
      ...{
        url: "memory",
        everyMs: hour,
        keep: 2,
        holder: "node a",
        clock: this.clock,
        log,
        metrics: this.instruments,
      },
      open: async (_, onRetry) => {
        this.onRetry = onRetry;
        return this.store;
      },
      backup: (have) => backupParts(storedLog, state, have),
      newId: () => `writer ${writers++}`,
      leads: () => this.leads,
      onChange: (listener) => {
        this.#listener = listener;
        return () => undefined;
      },
    });
    return this.#backups;
  }

  lead(leads: boolean): void {
    this.leads = leads;
    this.#listener();
  }

  /** Lets virtual time pass up to a limit, until there are this many backups or lines. */
  async pass(ms: number, what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
    const end = this.time.now + ms;
    for (let turns = 0; turns < 20_000; turns++) {
      if (await isDone()) return;
      // Work that does not wait for time goes on first.
      if (turns % 4 === 3 && (this.time.next ?? Number.POSITIVE_INFINITY) <= end) this.time.step();
      else await turn();
    }
    throw new Error(`waited until ${what}`);
  }

  count = async (): Promise<number> => (await listBackups(this.store)).length;

  async [Symbol.asyncDispose](): Promise<void> {
    let isClosed = this.#backups === undefined;
    void this.#backups?.[Symbol.asyncDispose]().then(() => {
      isClosed = true;
    });
    await this.pass(60_000, "it is closed", () => isClosed);
    await this.source[Symbol.asyncDispose]();
  }
}

test("only a leader makes backups: one at once, and then one each time", async () => {
  await using world = await World.open();
  world.start();
  for (let n = 0; n < 10; n++) await turn();
  assert.equal(await world.count(), 0);
  world.lead(true);
  await world.pass(60_000, "the first backup", () => world.lines.length === 1);
  assert.equal(await world.count(), 1);
  assert.ok(world.time.now < hour);
  await world.source.append(3);
  await world.pass(hour + 60_000, "the second backup", () => world.lines.length === 2);
  assert.ok(world.time.now >= hour);
  assert.equal(await world.count(), 2);
  await world.source.append(3);
  await world.pass(hour + 60_000, "the third backup", () => world.lines.length === 3);
  assert.equal((await checkBackups(world.store)).length, 2);
  await world.pass(hour + 60_000, "nothing is new", () => world.lines.length === 4);
  assert.match(world.lines[3]!, /nothing new/);
  assert.equal(world.store.isLocked, false);
});

test("a request that is sent again is a warning, and counted", async () => {
  await using world = await World.open();
  world.start();
  world.lead(true);
  await world.pass(60_000, "the first backup", () => world.lines.length === 1);
  const fault = new Fault("unavailable", { message: "the bucket is away" });
  world.onRetry!({ request: "PUT a", fault, attempt: 1, attempts: 9, pauseMs: 200 });
  assert.equal(world.lines[1], "retrying: a request to the place of backups failed");
  const counted = world.instruments.collect().find(({ name }) => name === "tailrace.backup.retries");
  assert.deepEqual(counted?.points, [{ attributes: {}, value: 1 }]);
});

test("a new leader waits until the newest backup is old enough", async () => {
  await using world = await World.open();
  await world.source.write(world.store);
  const list = world.store.list.bind(world.store);
  world.store.list = async function* (prefix) {
    for await (const entry of list(prefix)) yield { ...entry, ageMs: hour / 2 };
  };
  await world.source.append(3);
  world.leads = true;
  world.start();
  await world.pass(hour, "the backup", () => world.lines.length === 1);
  assert.ok(world.time.now >= hour / 2 && world.time.now < hour, String(world.time.now));
});

test("what fails is tried again after a growing pause, and said once", async () => {
  await using world = await World.open();
  const failures: number[] = [];
  world.store.onOperation = (operation) => {
    if (!operation.startsWith("list") || world.time.now > 200_000) return;
    failures.push(world.time.now);
    throw new Fault("unavailable", { message: "the bucket is away" });
  };
  world.leads = true;
  const backups = world.start();
  await world.pass(hour, "it failed twice", () => failures.length >= 2);
  assert.match(backups.note ?? "", /the last backup failed: the bucket is away/);
  await world.pass(hour, "the backup", () => world.lines.length === 2);
  assert.deepEqual(world.lines, ["backup failed", "backup completed"]);
  const pauses = failures.slice(1).map((at, n) => at - failures[n]!);
  assert.ok(
    pauses.length >= 3 && pauses.every((pause, n) => n === 0 || pause > pauses[n - 1]!),
    String(pauses),
  );
  assert.equal(backups.note, undefined);
});

test("a node that leads no more ends its backup, and another leader completes it", async () => {
  await using world = await World.open();
  world.leads = true;
  world.store.onOperation = (operation) => {
    if (operation.startsWith("finish")) world.lead(false);
  };
  world.start();
  await world.pass(60_000, "the backup has ended", () => !world.leads && !world.store.isLocked);
  assert.equal(await world.count(), 0);
  assert.deepEqual(world.lines, []);
  world.store.onOperation = () => undefined;
  world.lead(true);
  await world.pass(hour, "the backup", () => world.lines.length === 1);
  await checkBackups(world.store);
});

test("the node ends while a backup is written, and leaves no lock", async () => {
  const world = await World.open();
  world.leads = true;
  const begun = Promise.withResolvers<void>();
  world.store.onOperation = (operation) => {
    if (operation.startsWith("finish")) begun.resolve();
  };
  world.start();
  await world.pass(60_000, "it has begun", () =>
    world.store.operations.some((one) => one.startsWith("finish")),
  );
  await begun.promise;
  await world[Symbol.asyncDispose]();
  assert.equal(world.store.isLocked, false);
});
