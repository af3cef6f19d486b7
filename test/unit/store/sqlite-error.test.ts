import assert from "node:assert/strict";
import { test } from "node:test";
import { systemFault } from "../../../src/cli/run-command.ts";
import { DiskUncertain, troubleOf } from "../../../src/lib/disk/disk.ts";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { asOfDisk } from "../../../src/store/sqlite-error.ts";

const sqlite = (errcode: number): Error =>
  Object.assign(new Error("from SQLite"), { code: "ERR_SQLITE_ERROR", errcode });
const told = (errcode: number): unknown => asOfDisk(sqlite(errcode), systemDisk, "/tmp");

test("each result of SQLite is a refusal that says whether the write may be tried again", () => {
  for (const [errcode, trouble] of [
    [13, "full"],
    [7, "busy"],
    [8, "busy"],
    [14, "busy"],
    [10 | (3 << 8), "lost"],
    [10 | (4 << 8), "lost"],
  ] as const) {
    assert.equal(troubleOf(told(errcode)), trouble, `${errcode}`);
    assert.ok(
      systemFault(told(errcode)) !== undefined,
      "the command line reports it as an error of the system",
    );
  }
  for (const errcode of [11, 26, 11 | (1 << 8)])
    assert.equal((told(errcode) as { kind: string }).kind, "corrupt");
  for (const errcode of [5, 6]) assert.equal((told(errcode) as { kind: string }).kind, "locked");
  assert.ok(told(1034) instanceof DiskUncertain);
  const other = new Error("other");
  assert.equal(asOfDisk(other, systemDisk, "/tmp"), other);
  const bug = sqlite(1);
  assert.equal(asOfDisk(bug, systemDisk, "/tmp"), bug);
  const quota = asOfDisk(sqlite(10 | (3 << 8)), { ...systemDisk, freeBytes: () => 0 }, "/tmp");
  assert.equal(troubleOf(quota), "full");
  const sizeless = { ...systemDisk, totalBytes: () => 0, freeBytes: () => 0 };
  assert.equal(troubleOf(asOfDisk(sqlite(10 | (3 << 8)), sizeless, "/tmp")), "lost");
});
