import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import { noMetrics } from "../../../../src/lib/telemetry.ts";
import { linkEvents } from "../../../../src/peer/link/link-events.ts";
import { PeerMeter } from "../../../../src/peer/peer-meter.ts";
import { logLines } from "../../../support/log/log-lines.ts";

const unreachable = (code: string): Fault =>
  new Fault("unavailable", { message: "the connection to the peer has ended", facts: { code } });

/** The events of the link to the member "b", and what they caused. */
function openEvents() {
  const { log, lines } = logLines();
  const calls: unknown[] = [];
  const link = { connected: false };
  let current: typeof link | undefined = link;
  const events = linkEvents({
    peer: 7,
    facts: { peer: "b", address: "b:1" },
    link: () => current,
    node: () => ({
      receive: () => undefined,
      reportUnreachable: (peer) => calls.push(["unreachable", peer]),
      connectionRefused: (peer) => calls.push(["refused", peer]),
      reportSnapshot: (peer, delivered) => calls.push(["snapshot", peer, delivered]),
    }),
    meter: new PeerMeter(noMetrics, { peers: () => [], queuedBytes: () => 0 }),
    logger: log,
    warn: (_facts, _fault, message) => calls.push(["warn", message]),
    onDisowned: () => calls.push(["disowned"]),
    onConnected: () => calls.push(["connected"]),
  });
  const messages = (): string[] => lines.map(({ message }) => message);
  const replace = (): void => {
    current = undefined;
  };
  return { events, calls, link, messages, replace };
}

describe("the events of a link", () => {
  test("are reported to Raft with the id of the member", () => {
    const { events, calls } = openEvents();
    events.unreachable();
    events.connectionRefused();
    events.snapshotSent(true);
    assert.deepEqual(calls, [
      ["unreachable", 7],
      ["refused", 7],
      ["snapshot", 7, true],
    ]);
  });

  test("are not reported once another link has replaced this one", () => {
    const { events, calls, messages, replace } = openEvents();
    replace();
    events.unreachable();
    events.connectionRefused();
    events.snapshotSent(false);
    events.disowned(unreachable("ECONNRESET"));
    events.opened("control");
    events.lost("control", unreachable("ECONNRESET"), true);
    assert.deepEqual([calls, messages()], [[], []]);
  });

  test("report a connected link when both channels are open", () => {
    const { events, calls, link, messages } = openEvents();
    events.opened("control");
    assert.deepEqual([calls, messages()], [[], []]);
    link.connected = true;
    events.opened("bulk");
    assert.deepEqual([calls, messages()], [[["connected"]], ["linked to a peer"]]);
  });

  test("log the reason of failed attempts once, until it changes or the link was connected", () => {
    const { events, link, messages } = openEvents();
    for (const code of ["ECONNREFUSED", "ECONNREFUSED", "ETIMEDOUT"]) {
      events.lost("control", unreachable(code), false);
    }
    assert.deepEqual(messages(), ["a peer cannot be linked", "a peer cannot be linked"]);
    link.connected = true;
    events.opened("control");
    events.lost("control", unreachable("ECONNRESET"), true);
    events.lost("control", unreachable("ETIMEDOUT"), false);
    assert.deepEqual(messages().slice(2), [
      "linked to a peer",
      "a link to a peer was lost",
      "a peer cannot be linked",
    ]);
  });

  test("log a refusal by one of the nodes with a limit on its rate", () => {
    const { events, calls } = openEvents();
    events.lost("bulk", new Fault("failed-precondition"), false);
    assert.deepEqual(calls, [["warn", "the link to a peer is refused"]]);
  });
});
