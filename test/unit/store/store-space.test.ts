import assert from "node:assert/strict";
import { test } from "node:test";
import { systemDisk } from "../../../src/lib/disk/system-disk.ts";
import { checkSpaceForStore } from "../../../src/store/store-space.ts";

const diskOf = (totalBytes: number, freeBytes: number) => ({
  ...systemDisk,
  totalBytes: () => totalBytes,
  freeBytes: () => freeBytes,
});

test("a volume without space for a new store is full", () => {
  const check = (freeBytes: number) => () =>
    checkSpaceForStore(diskOf(2 ** 30, freeBytes), "/volume", "/volume/data");
  assert.throws(check(4096), {
    kind: "disk-full",
    message: /new store in \/volume\/data needs 1024 KiB, and 4 KiB/,
  });
  assert.doesNotThrow(check(2 ** 20));
});

test("a file system without a size is not full, nor is one that does not say how much is free", () => {
  checkSpaceForStore(diskOf(0, 0), "/proc", "/proc/data");
  const silent = {
    ...systemDisk,
    totalBytes: () => {
      throw new Error("not supported");
    },
  };
  checkSpaceForStore(silent, "/volume", "/volume/data");
});
