import assert from "node:assert/strict";
import { test } from "node:test";
import { ServiceManager } from "../../../../src/agent/service-manager/service-manager.ts";
import { StillClock } from "../../../support/log/logs.ts";

/** A service manager with these variables that receives `sent`, and a node with `reasons`. */
function open(environment: Readonly<Record<string, string>>) {
  const clock = new StillClock();
  const node = { reasons: ["no leader is known yet"], changed: (): void => undefined, takes: true };
  const sent: string[] = [];
  const logged: string[] = [];
  const isOpen = { value: true };
  const manager = new ServiceManager({
    environment,
    pid: 7,
    open: (address) => {
      assert.equal(address, "/run/notify");
      return {
        send(text) {
          if (node.takes) sent.push(text);
          return node.takes ? undefined : "sendto failed with errno 111";
        },
        [Symbol.dispose]() {
          isOpen.value = false;
        },
      };
    },
    logger: {
      warn: ({ why }: Record<string, unknown>, text: string) => void logged.push(`${text}: ${why}`),
      info: (_facts: object, text: string) => void logged.push(text),
    },
    clock,
    reasons: () => node.reasons,
    onChange: (listener) => {
      node.changed = listener;
      return () => {
        node.changed = () => undefined;
      };
    },
  });
  return { clock, node, sent, manager, logged, isOpen };
}

const socket = { NOTIFY_SOCKET: "/run/notify" };

test("the status says why the node is not ready, then that it is ready, and that it stops", () => {
  const { node, sent, manager } = open(socket);
  node.changed();
  node.reasons = [];
  node.changed();
  manager.ready();
  manager.stopping();
  node.changed();
  manager.ready();
  assert.deepEqual(sent, [
    "STATUS=no leader is known yet",
    "STATUS=ready",
    "READY=1",
    "STOPPING=1",
    "STATUS=stopping",
  ]);
});

test("a reason cannot add a line of its own, and is cut at 200 characters", () => {
  const { node, sent } = open(socket);
  node.reasons = [`a\nREADY=1${"x".repeat(300)}`];
  node.changed();
  assert.equal(sent[1], `STATUS=a READY=1${"x".repeat(191)}`);
});

test("the watchdog is notified every half of its time from ready on, until the node is closed", () => {
  const { clock, sent, manager } = open({ ...socket, WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" });
  const beats = (): number => sent.filter((text) => text === "WATCHDOG=1").length;
  clock.advance(60_000);
  assert.equal(beats(), 0);
  manager.ready();
  assert.equal(beats(), 1);
  clock.advance(14_999);
  assert.equal(beats(), 1);
  clock.advance(1);
  assert.equal(beats(), 2);
  manager[Symbol.dispose]();
  clock.advance(60_000);
  assert.equal(beats(), 2);
  assert.equal(clock.timers, 0);
});

test("a watchdog of another process, or with a time that is not valid, is not notified", () => {
  for (const watchdog of [{ WATCHDOG_USEC: "1000", WATCHDOG_PID: "8" }, { WATCHDOG_USEC: "soon" }]) {
    const { clock, manager } = open({ ...socket, ...watchdog });
    manager.ready();
    assert.equal(clock.timers, 0);
  }
});

test("what could not be sent is sent again, the newest status alone", () => {
  const { clock, node, sent, manager } = open(socket);
  node.takes = false;
  node.reasons = ["the disk is full"];
  node.changed();
  node.reasons = [];
  node.changed();
  manager.ready();
  assert.deepEqual([sent.length, clock.timers], [1, 1]);
  node.takes = true;
  clock.advance(400);
  assert.deepEqual([sent[1], clock.timers], ["STATUS=ready\nREADY=1", 0]);
});

test("a service manager that takes nothing is tried more and more rarely, and logged once", () => {
  const { clock, node, sent, manager, logged, isOpen } = open(socket);
  node.takes = false;
  manager.ready();
  for (let tenths = 0; tenths < 14; tenths++) clock.advance(100);
  assert.deepEqual(logged, []);
  clock.advance(100);
  const line = "the service manager takes no notifications, trying again: sendto failed with errno 111";
  assert.deepEqual(logged, [line]);
  for (let n = 0; n < 360; n++) clock.advance(10_000);
  assert.deepEqual([logged, clock.timers], [[line], 1]);
  node.takes = true;
  clock.advance(10_000);
  assert.equal(sent.at(-1), "READY=1");
  assert.deepEqual(logged, [line, "the service manager takes notifications again"]);
  manager[Symbol.dispose]();
  assert.equal(isOpen.value, false, "the descriptor is closed");
});

test("without a service manager nothing is sent and nothing waits", () => {
  const { clock, sent, manager } = open({ WATCHDOG_USEC: "1000000" });
  manager.ready();
  manager.stopping();
  manager[Symbol.dispose]();
  assert.deepEqual([sent, clock.timers], [[], 0]);
});
