/** The restore of an empty directory before a node joins. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { restoreIfEmpty } from "../../../../src/agent/backup/open-backups.ts";
import { readConfig } from "../../../../src/agent/mod.ts";
import { type Logger, noLogger } from "../../../../src/lib/telemetry.ts";
import { systemClock } from "../../../../src/lib/time/clock.ts";
import { DirectoryStore } from "../../../../src/objects/directory/directory-store.ts";
import { BackupNode } from "../../../support/objects/backup-source.ts";
import { FaultyProxy } from "../../../support/objects/faulty-proxy.ts";
import { openS3Server } from "../../../support/objects/s3-server.ts";
import { scratch } from "../../../support/scratch.ts";

const joins = ["--start-join-addrs", "127.0.0.1:1"];

/** Runs the restore of a node with these flags; returns its log lines. */
async function restore(directory: string, url: string, ...more: string[]): Promise<string[]> {
  return await restoreWith({}, directory, url, ...more);
}

type Environment = Readonly<Record<string, string>>;

async function restoreWith(
  environment: Environment,
  directory: string,
  url: string,
  ...more: string[]
): Promise<string[]> {
  const flags = ["--data-dir", directory, "--restore-from", url, ...joins, ...more];
  const { config } = readConfig({ flags, environment: {}, readFile: () => "" });
  const lines: string[] = [];
  const note = (_: object, message: string): void => void lines.push(message);
  const log: Logger = { ...noLogger, info: note, warn: note };
  await restoreIfEmpty(config, environment, systemClock, log);
  return lines;
}

test("an empty directory is filled once, and a directory with a log is not touched", async (t) => {
  const home = scratch(t);
  const place = join(home, "backups");
  await using source = await BackupNode.open();
  await source.append(10);
  await source.write(new DirectoryStore(place, systemClock));
  const data = join(home, "data");
  const url = pathToFileURL(place).href;
  assert.deepEqual(await restore(data, url), [
    "restoring a backup into the empty directory",
    "restored a backup",
  ]);
  assert.deepEqual(readdirSync(data).sort(), ["lock", "log", "meta"]);
  assert.deepEqual(await restore(data, url), []);
});

test("without a backup that can be read, the directory stays empty", async (t) => {
  const home = scratch(t);
  const none = pathToFileURL(join(home, "none")).href;
  const data = join(home, "data");
  const said = ["there is no backup to restore, this node starts with an empty directory"];
  assert.deepEqual(await restore(data, none), said);
  assert.deepEqual(await restore(data, none, "--bootstrap-expect", "3"), said);
  assert.equal(existsSync(data), false);
  // What a restore left that was killed goes too.
  mkdirSync(join(data, "restoring"), { recursive: true });
  mkdirSync(join(data, "log"));
  assert.deepEqual(await restore(data, none), said);
  assert.deepEqual(readdirSync(data), ["lock"]);
  const damaged = join(home, "damaged");
  mkdirSync(join(damaged, "backups"), { recursive: true });
  writeFileSync(join(damaged, "backups", `${"1".padStart(20, "0")}-20261130T190000Z`), "damaged");
  const url = pathToFileURL(damaged).href;
  assert.deepEqual(await restore(data, url), [
    "no backup could be restored, this node starts with an empty directory",
  ]);
  // Such nodes could form a cluster without the records.
  await assert.rejects(restore(data, url, "--bootstrap-expect", "3"), { kind: "corrupt" });
});

test("requests to a bucket that are sent again are logged", async (t) => {
  const data = join(scratch(t), "data");
  await using server = await openS3Server("stub");
  await using proxy = await FaultyProxy.open(server.endpoint);
  let failures = 2;
  proxy.trouble = () => (failures-- > 0 ? { kind: "status", status: 503, code: "SlowDown" } : undefined);
  const flags = ["--s3-endpoint", proxy.endpoint];
  const retrying = "retrying: a request to the place of backups failed";
  assert.deepEqual(await restoreWith(server.environment, data, "s3://logs/none", ...flags), [
    ...[retrying, retrying],
    "there is no backup to restore, this node starts with an empty directory",
  ]);
});

test("only a node that joins may have --restore-from", () => {
  const read = (...flags: string[]) =>
    readConfig({ flags: ["--restore-from", "file:///x", ...flags], environment: {}, readFile: () => "" });
  read(...joins);
  read(...joins, "--bootstrap-expect", "3");
  for (const flags of [[], [...joins, "--bootstrap"], [...joins, "--bootstrap-expect", "1"]])
    assert.throws(() => read(...flags), {
      kind: "config",
      message: /--restore-from is for a node that joins/,
    });
  for (const url of ["/x", "s3://", "http://x", "file://host/x"])
    assert.throws(() => readConfig({ flags: ["--backup-to", url], environment: {}, readFile: () => "" }), {
      kind: "config",
    });
});
