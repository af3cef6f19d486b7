/** What the system's disk refuses to open. The rest is in ../disks.test.ts, for all disks. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NotRegularFile } from "../../../../src/lib/disk/disk.ts";
import { heapMapper, type Mapper, systemMapper } from "../../../../src/lib/disk/mapped-file.ts";
import { systemDisk } from "../../../../src/lib/disk/system-disk.ts";
import { scratch } from "../../../support/scratch.ts";

test("a directory, a pipe and a device are refused with their name, without waiting", (t) => {
  const home = scratch(t);
  const [directory, pipe] = [join(home, "directory"), join(home, "pipe")];
  mkdirSync(directory);
  execFileSync("mkfifo", [pipe]);
  const readers: Mapper[] = [
    heapMapper(systemDisk),
    ...[systemMapper()].filter((mapper) => mapper !== undefined),
  ];
  for (const [path, found, code] of [
    [directory, "a directory", "EISDIR"],
    [pipe, "a pipe, a socket or a device", "EINVAL"],
    ["/dev/null", "a pipe, a socket or a device", "EINVAL"],
  ] as const) {
    const refusal = { name: "NotRegularFile", code, message: `${path} is ${found}, expected a regular file` };
    for (const mode of ["read", "write"] as const) assert.throws(() => systemDisk.open(path, mode), refusal);
    for (const map of readers) assert.throws(() => map(path), NotRegularFile);
  }
});

test("a hint about any bytes changes nothing and does not fail", (t) => {
  const path = join(scratch(t), "file");
  writeFileSync(path, "0123456789");
  const file = systemDisk.open(path, "read");
  for (const [position, bytes] of [
    [0, 10],
    [4, 1],
    [9, 1_000],
    [2 ** 40, 1],
    [-1, -1],
  ] as const)
    file.willRead?.(position, bytes);
  const target = new Uint8Array(4);
  assert.equal(file.read(target, 3), 4);
  assert.equal(Buffer.from(target).toString(), "3456");
  file.close();
});
