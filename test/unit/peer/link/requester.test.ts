import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Fault } from "../../../../src/fault.ts";
import type { QueuedFrame } from "../../../../src/peer/connection/send-queue.ts";
import { Requester, type RequesterOptions } from "../../../../src/peer/link/requester.ts";
import { type PeerFrame, prefixBytes } from "../../../../src/peer/wire/peer-frame.ts";
import { valueRequest } from "../../../../src/peer/wire/request-codec.ts";
import { encodeFailure, encodeResponse } from "../../../../src/peer/wire/response-codec.ts";
import { faultOf } from "../../../support/peer/fault-of.ts";
import { VirtualTime } from "../../../support/time/virtual-clock.ts";

const request = valueRequest("status", null);
const limitMs = 1_000;

/** A requester whose frames are collected instead of sent. */
function openRequester(options: Partial<RequesterOptions> = {}) {
  const time = new VirtualTime();
  const clock = time.clock();
  const frames: QueuedFrame[] = [];
  const requester = new Requester({
    clock,
    requestsMax: 2,
    reachable: () => true,
    send: (frame) => frames.push(frame) > 0,
    ...options,
  });
  const ask = (signal?: AbortSignal): Promise<unknown> =>
    requester.ask(request, clock.monotonicMs() + limitMs, signal);
  const passDeadline = async (): Promise<void> => {
    while (time.now <= limitMs && time.step()) await null;
    for (let hops = 0; hops < 8; hops++) await null;
  };
  return { requester, frames, ask, passDeadline };
}

/** A response as the connection delivers it. */
function received({ chunks }: ReturnType<typeof encodeResponse>, headBytes: number): PeerFrame {
  const bytes = Buffer.concat(chunks).subarray(prefixBytes);
  return {
    kind: "response",
    head: bytes.subarray(0, headBytes),
    body: Uint8Array.from(bytes.subarray(headBytes)),
  };
}
/** The head of a response is a list of a small id and a boolean. */
const headBytes = 3;

describe("a requester", () => {
  test("resolves each request with the response that has its id", async () => {
    const { requester, ask } = openRequester();
    const [first, second] = [ask(), ask()];
    requester.receiveResponse(received(encodeResponse(2, "two"), headBytes));
    requester.receiveResponse(received(encodeResponse(1, "one"), headBytes));
    assert.deepEqual(await Promise.all([first, second]), ["one", "two"]);
    assert.equal(requester.pending, 0);
  });

  test("rejects with the fault of the peer", async () => {
    const { requester, ask } = openRequester();
    const asked = faultOf(ask());
    requester.receiveResponse(received(encodeFailure(1, new Fault("disk-full")), headBytes));
    assert.equal((await asked).kind, "disk-full");
  });

  test("ignores a response without a pending request", () => {
    const { requester } = openRequester();
    requester.receiveResponse(received(encodeResponse(7, null), headBytes));
  });

  test("refuses a request without a connection, or beyond its limit, as not written", async () => {
    const without = openRequester({ reachable: () => false });
    assert.deepEqual(await kindAndWritten(without.ask()), ["unavailable", "no"]);
    const full = openRequester({ send: () => false });
    assert.deepEqual(await kindAndWritten(full.ask()), ["overloaded", "no"]);
    assert.equal(full.requester.pending, 0);
    const { requester, ask } = openRequester();
    const pending = [kindAndWritten(ask()), kindAndWritten(ask())];
    assert.deepEqual(await kindAndWritten(ask()), ["overloaded", "no"]);
    requester.connectionLost(new Fault("unavailable"));
    await Promise.all(pending);
  });

  test("reports a lost connection as not written for a queued request, as unknown for a sent one", async () => {
    const { requester, frames, ask } = openRequester();
    const [sent, queued] = [kindAndWritten(ask()), kindAndWritten(ask())];
    assert.equal(frames[0]!.begin!(), true);
    requester.connectionLost(new Fault("unavailable"));
    assert.deepEqual(await sent, ["interrupted", "unknown"]);
    assert.deepEqual(await queued, ["unavailable", "no"]);
    assert.equal(frames[1]!.begin!(), false, "the queued request is withdrawn");
  });

  test("reports a deadline as not written for a queued request, as unknown for a sent one", async () => {
    const { frames, ask, passDeadline } = openRequester();
    const [sent, queued] = [kindAndWritten(ask()), kindAndWritten(ask())];
    frames[0]!.begin!();
    await passDeadline();
    assert.deepEqual(await sent, ["deadline", "unknown"]);
    assert.deepEqual(await queued, ["deadline", "no"]);
    assert.equal(frames[1]!.begin!(), false, "the queued request is withdrawn");
  });

  test("reports an abort as not written for a queued request, as unknown for a sent one", async () => {
    const { frames, ask } = openRequester();
    const abort = new AbortController();
    const [sent, queued] = [kindAndWritten(ask(abort.signal)), kindAndWritten(ask(abort.signal))];
    frames[0]!.begin!();
    abort.abort();
    assert.deepEqual(await sent, ["interrupted", "unknown"]);
    assert.deepEqual(await queued, ["unavailable", "no"]);
    assert.deepEqual(await kindAndWritten(ask(abort.signal)), ["unavailable", "no"]);
    assert.equal(frames[1]!.begin!(), false, "the queued request is withdrawn");
  });
});

async function kindAndWritten(work: Promise<unknown>): Promise<[string, string]> {
  const { kind, written } = await faultOf(work);
  return [kind, written];
}
