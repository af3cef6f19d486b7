import assert from "node:assert/strict";
import { test } from "node:test";
import { type SentText, TextSender } from "../../../../../src/api/http/tails/text-sender.ts";
import { systemClock } from "../../../../../src/lib/time/clock.ts";

/** No turn of the event loop is full, no matter how slow the machine is. */
const clock = { ...systemClock, monotonicMs: () => 0 };

/** A sender whose client answers each write with the next of `answers`, true if there is none. */
function open(answers: (boolean | Promise<boolean>)[] = []) {
  const sent: string[] = [];
  const counted = { records: 0, bytes: 0, rendered: 0, progress: 0 };
  const call = { bytesOut: 0 };
  const sender = new TextSender({
    exchange: {
      write(bytes) {
        sent.push(Buffer.from(bytes).toString());
        return answers.shift() ?? true;
      },
    },
    call,
    clock,
    traffic: {
      sent(records, bytes) {
        counted.records += records;
        counted.bytes += bytes;
      },
    },
    hold: {
      rendered() {
        counted.rendered++;
      },
      progress(bytes) {
        counted.progress += bytes;
      },
    },
  });
  return { sender, sent, counted, call };
}

/** Yields one chunk for each text, and notes how far it came. */
function chunksOf(...texts: string[]) {
  const seen = { yielded: 0, isEnded: false };
  function* chunks(): Generator<SentText, void, undefined> {
    try {
      for (const text of texts) {
        seen.yielded++;
        yield { bytes: Buffer.from(text), records: 1, isLast: text === texts.at(-1) };
      }
    } finally {
      seen.isEnded = true;
    }
  }
  return { chunks: chunks(), seen };
}

test("a client that keeps up gets all chunks at once", () => {
  const { sender, sent, counted, call } = open();
  const { chunks, seen } = chunksOf("a", "bc");
  assert.equal(sender.send(chunks), true);
  assert.deepEqual(sent, ["a", "bc"]);
  assert.deepEqual(counted, { records: 2, bytes: 3, rendered: 2, progress: 3 });
  assert.deepEqual([call.bytesOut, seen.isEnded], [3, true]);
});

test("a slow client gets a chunk only when it has taken the one before", async () => {
  const first = Promise.withResolvers<boolean>();
  const { sender, sent, counted } = open([first.promise]);
  const { chunks, seen } = chunksOf("a", "b", "c");
  const sending = sender.send(chunks);
  assert.deepEqual([sent, seen.yielded, counted.progress], [["a"], 1, 0]);
  first.resolve(true);
  assert.equal(await sending, true);
  assert.deepEqual([sent, counted.progress, seen.isEnded], [["a", "b", "c"], 3, true]);
});

test("nothing more is rendered for a client that has disconnected", async () => {
  for (const answers of [[true, false], [Promise.resolve(false)], [Promise.resolve(true), false]]) {
    const { sender, sent } = open([...answers]);
    const { chunks, seen } = chunksOf("a", "b", "c");
    assert.equal(await sender.send(chunks), false);
    assert.deepEqual([sent.length, seen.yielded, seen.isEnded], [answers.length, answers.length, true]);
  }
});

test("what the text throws ends the sending, at once or after a wait", async () => {
  function* failing(): Generator<SentText, void, undefined> {
    yield { bytes: Buffer.from("a"), records: 1 };
    throw new Error("damaged");
  }
  assert.throws(() => open().sender.send(failing()), /damaged/);
  await assert.rejects(async () => open([Promise.resolve(true)]).sender.send(failing()), /damaged/);
});
