/** What the doctor says about what it finds. test/wire/client/doctor-command.test.ts runs it. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { judgeExpiry } from "../../../../src/cli/doctor/certificate-checks.ts";
import { type Check, checksText, statusOfChecks } from "../../../../src/cli/doctor/check.ts";
import {
  diskChecks,
  judgeFileSystem,
  judgeSpace,
  judgeSyncs,
} from "../../../../src/cli/doctor/disk-checks.ts";
import {
  judgeDescriptors,
  judgeKernelClock,
  judgeMemory,
} from "../../../../src/cli/doctor/machine-checks.ts";
import { judgeOps } from "../../../../src/cli/doctor/node-checks.ts";
import { scratch } from "../../../support/scratch.ts";

const grades = (checks: readonly Check[]): readonly string[] =>
  checks.map(({ name, grade }) => `${name} ${grade}`);
const MiB = 2 ** 20;

test("the exit status is 0 without findings, 6 with warnings only, and 1 with a problem", () => {
  const check = (grade: Check["grade"]): Check => ({ name: "x", grade, found: "y" });
  assert.equal(statusOfChecks([check("ok"), check("skipped")]), 0);
  assert.equal(statusOfChecks([check("ok"), check("warning")]), 6);
  assert.equal(statusOfChecks([check("problem"), check("warning")]), 1);
  assert.equal(
    checksText([check("ok"), { ...check("warning"), todo: "do z" }]),
    "ok       x              y\nwarning  x              y\n                        to do: do z\n",
  );
});

test("limits of the machine are graded, and a warning says what to do", () => {
  assert.equal(judgeDescriptors(undefined).grade, "ok");
  assert.equal(judgeDescriptors(65_536).grade, "ok");
  const few = judgeDescriptors(1_024);
  assert.deepEqual([few.grade, /LimitNOFILE=65536/.test(few.todo ?? "")], ["warning", true]);
  assert.match(few.found, /ulimit -n is 1024: a node started here takes \d+ connections/);
  assert.equal(judgeMemory({ limitBytes: 128 * MiB, source: "cgroup", heapBytes: 1 }).grade, "warning");
  assert.deepEqual(
    [undefined, 0, 5].map((state) => judgeKernelClock(state).grade),
    ["skipped", "ok", "warning"],
  );
});

test("disks are graded by kind, space and the time of a sync", () => {
  assert.equal(judgeFileSystem("/data", 0xef53).grade, "ok");
  for (const type of [0x01021994, 0x6969, 0xff534d42 | 0])
    assert.equal(judgeFileSystem("/data", type).grade, "warning");
  const space = (free: number, reserve = 0, volume = 100_000): Check =>
    judgeSpace({ freeBytes: free * MiB, volumeBytes: volume * MiB, reserveBytes: reserve * MiB });
  assert.deepEqual(
    [100, 500, 5_000].map((free) => space(free).grade),
    ["problem", "warning", "ok"],
  );
  assert.match(
    space(100).found,
    /: a node refuses records, because it keeps 128\.0 MiB in reserve by default$/,
  );
  assert.equal(space(100, 0, 1_000).grade, "warning", "a small volume has a small reserve");
  assert.equal(space(100, 128).grade, "warning", "the reserve is there already");
  assert.equal(space(0, 128).grade, "problem");
  assert.equal(judgeSyncs([1, 2, 400]).grade, "ok");
  assert.equal(judgeSyncs([1, 2, 600]).grade, "warning");
  assert.match(judgeSyncs([30, 40, 50]).found, /takes 40 ms, at most 50 ms \(3 times\)/);
});

test("a directory is examined without a trace, also one that is not there yet", (t) => {
  const folder = scratch(t);
  assert.equal(diskChecks(join(folder, "a/b"))[0]?.grade, "ok");
  assert.deepEqual(readdirSync(folder), []);
  mkdirSync(join(folder, "data/log"), { recursive: true });
  const [held, ...rest] = diskChecks(join(folder, "data"));
  assert.match(held?.found ?? "", /holds a log/);
  assert.deepEqual(
    rest.map(({ name }) => name),
    ["file-system", "space", "disk-sync"],
  );
  assert.notEqual(rest[2]?.grade, "skipped");
  assert.deepEqual(readdirSync(join(folder, "data")), ["log"]);
  writeFileSync(join(folder, "data/reserve"), Buffer.alloc(MiB));
  assert.match(diskChecks(join(folder, "data"))[2]?.found ?? "", / free beside the reserve of 1\.0 MiB/);
  mkdirSync(join(folder, "foreign"));
  writeFileSync(join(folder, "foreign/letter.txt"), "dear");
  const [foreign] = diskChecks(join(folder, "foreign"));
  assert.deepEqual([foreign?.grade, /letter\.txt/.test(foreign?.found ?? "")], ["problem", true]);
});

test("certificates are graded by the days that are left", () => {
  const day = 86_400_000;
  const left = (days: number): string => judgeExpiry("c", "ca.pem", 1e12 + days * day, 1e12).grade;
  assert.deepEqual([-1, 0, 29, 31].map(left), ["problem", "problem", "warning", "ok"]);
});

test("the ops port names failed checks, a wrong clock, descriptors, certificates and slow syncs", () => {
  const metrics = (used: number, seconds: number, sum: number): string =>
    `process_unix_file_descriptor_count ${used}
tailrace_descriptors_limit 1000
tailrace_tls_certificate_expiry_seconds{use="server"} ${seconds}
tailrace_log_sync_duration_seconds_bucket{le="1"} 1
tailrace_log_sync_duration_seconds_sum ${sum}
tailrace_log_sync_duration_seconds_count 100
`;
  const good = judgeOps({ readyz: "[+]running ok\n", metrics: metrics(10, 90 * 86_400, 0.1), aheadMs: 900 });
  assert.deepEqual(grades(good), ["node-clock ok", "node-files ok", "node-certs ok", "node-sync ok"]);
  const readyz = "[+]running ok\n[-]stored failed: 0.store is damaged\n[-]serving failed: no leader\n";
  const bad = judgeOps({ readyz, metrics: metrics(900, 86_400, 9), aheadMs: -60_000 });
  assert.deepEqual(grades(bad), [
    "node-stored problem",
    "node-clock warning",
    "node-files warning",
    "node-certs warning",
    "node-sync warning",
  ]);
  assert.match(bad[1]?.found ?? "", /60 s behind this machine/);
  assert.deepEqual(grades(judgeOps({ readyz: "", metrics: "", aheadMs: 0 })), ["node-clock ok"]);
});
