import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cgroupLimit,
  checkMemory,
  defaultBudgetBytes,
  derivedSettings,
  sizeShare,
} from "../../../../src/agent/memory/machine-memory.ts";

const MiB = 2 ** 20;
const reader =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    files[path];

test("the limit of cgroup v2 is the least from the process's own group up to the root", () => {
  const files = {
    "/proc/self/cgroup": "0::/kubepods/pod7/main\n",
    "/sys/fs/cgroup/kubepods/pod7/main/memory.max": "max\n",
    "/sys/fs/cgroup/kubepods/pod7/memory.max": `${256 * MiB}\n`,
    "/sys/fs/cgroup/kubepods/memory.max": `${512 * MiB}\n`,
  };
  assert.equal(cgroupLimit(reader(files)), 256 * MiB);
  const high = { ...files, "/sys/fs/cgroup/kubepods/pod7/main/memory.high": `${200 * MiB}\n` };
  assert.equal(cgroupLimit(reader(high)), 200 * MiB);
});

test("in a container with its own cgroup namespace, the limit is at the root of the mount", () => {
  const files = { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": `${300 * MiB}\n` };
  assert.equal(cgroupLimit(reader(files)), 300 * MiB);
});

test("the limit of cgroup v1 is found among the other controllers, and at the mount's root", () => {
  const files = {
    "/proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/docker/abc\n1:cpuset:/\n0::/\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${128 * MiB}\n`,
  };
  assert.equal(cgroupLimit(reader(files)), 128 * MiB);
});

test("without cgroups, or without a limit, cgroupLimit is undefined", () => {
  assert.equal(cgroupLimit(reader({})), undefined);
  const unlimited = {
    "/proc/self/cgroup": "4:memory:/a\n0::/\n",
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
    "/sys/fs/cgroup/memory.max": "max\n",
  };
  assert.equal(cgroupLimit(reader(unlimited)), undefined);
});

test("the budget is a fifth of the memory, but at most half of V8's heap and 1 GiB", () => {
  const machine = (limit: number, heap: number) => ({
    limitBytes: limit * MiB,
    source: "machine" as const,
    heapBytes: heap * MiB,
  });
  assert.equal(defaultBudgetBytes(machine(255, 260)), 51 * MiB);
  assert.equal(defaultBudgetBytes(machine(2048, 400)), 200 * MiB);
  assert.equal(defaultBudgetBytes(machine(64 * 1024, 4096)), 1024 * MiB);
  assert.equal(sizeShare(machine(256, 260)), 1 / 4);
  assert.equal(sizeShare(machine(64 * 1024, 4096)), 1);
  assert.match(derivedSettings(machine(255, 260)).memoryBudgetBytes, /^51MiB\b/);
});

test("too little memory, or a budget of more than half of it, is refused", () => {
  const machine = { limitBytes: 100 * MiB, source: "cgroup" as const, heapBytes: 100 * MiB };
  assert.throws(() => checkMemory(machine, 25 * MiB), {
    kind: "config",
    message: /at least 128 MiB.*100 MiB/,
  });
  const enough = { ...machine, limitBytes: 256 * MiB };
  checkMemory(enough, 128 * MiB);
  assert.throws(() => checkMemory(enough, 129 * MiB), { kind: "config", message: /--memory-budget-bytes/ });
});
