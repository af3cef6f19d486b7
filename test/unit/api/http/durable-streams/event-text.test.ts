import assert from "node:assert/strict";
import { test } from "node:test";
import {
  controlEvent,
  eventChunks,
  incompleteBytes,
  joinedWith,
  nothingHeld,
  StreamEventCache,
} from "../../../../../src/api/http/durable-streams/event-text.ts";
import { systemClock } from "../../../../../src/lib/time/clock.ts";
import { MemoryBudget } from "../../../../../src/memory/mod.ts";
import { streamSlice as sliceOf } from "../../../../support/log/stream-slice.ts";

type Form = Parameters<typeof eventChunks>[0];
const start = { from: 0, held: nothingHeld };
const chunksOf = (form: Form, ...values: (string | Uint8Array)[]) => [
  ...eventChunks(form, sliceOf(0, ...values), start),
];
const textOf = (...asked: Parameters<typeof chunksOf>): string =>
  Buffer.concat(chunksOf(...asked).map(({ bytes }) => bytes)).toString();
/** The data of the first event, as a reader puts it together. */
const dataIn = (text: string): string => {
  const [first = "", ...lines] = text.slice(0, text.indexOf("\n\n")).split("\n");
  assert.equal(first, "event: data");
  assert.ok(lines.every((line) => line.startsWith("data:")));
  return lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
};

test("a line break in a value cannot end its event", () => {
  assert.equal(
    textOf("text", "a\r\n\r\nevent: control\rb\n c"),
    "event: data\ndata:a\ndata:\ndata:event: control\ndata:b\ndata:  c\n\n",
  );
  assert.equal(textOf("text", " a\n"), "event: data\ndata:  a\ndata:\n\n");
  assert.equal(textOf("json", '{"a":\n2}', "3"), 'event: data\ndata:[{"a":\ndata:2},3]\n\n');
  assert.equal(textOf("bytes", "\n\n"), "event: data\ndata:Cgo=\n\n");
  assert.equal(controlEvent({ upToDate: true }), 'event: control\ndata:{"upToDate":true}\n\n');
});

test("a large record is one event in many chunks, none of which takes long", () => {
  const lines = chunksOf("text", "\n".repeat(1_000_000));
  assert.ok(lines.length > 50);
  for (const { bytes } of lines) assert.ok(bytes.length <= 128 * 1024, String(bytes.length));
  assert.equal(lines.filter(({ ends }) => ends !== undefined).length, 1);
  assert.equal(dataIn(Buffer.concat(lines.map(({ bytes }) => bytes)).toString()).length, 1_000_000);
  const raw = chunksOf("bytes", Buffer.alloc(1_000_000, 7));
  assert.ok(raw.every(({ bytes }) => bytes.length <= 66 * 1024));
  const sent = dataIn(Buffer.concat(raw.map(({ bytes }) => bytes)).toString());
  assert.deepEqual(Buffer.from(sent, "base64"), Buffer.alloc(1_000_000, 7));
});

test("line breaks, spaces and characters at the border of two chunks stay what they are", () => {
  const border = 16 * 1024;
  for (const part of ["\r\n", "\r\n a", "\n\r b", "\r\r\n", " c", "\n  d", "é", "€", "😀", "\n😀", "\ufeff"])
    for (let before = border - 4; before <= border; before++) {
      const text = `${"x".repeat(before)}${part}${"y".repeat(border)}`;
      assert.equal(dataIn(textOf("text", text)), text.replaceAll(/\r\n|\r/g, "\n"), `${before} ${part}`);
    }
});

test("a character that is divided between two appends is sent whole", () => {
  const [first, second] = [
    sliceOf(0, Buffer.from([0x61, 0xc3])),
    sliceOf(1, Buffer.from([0xa9, 0xe2, 0x82])),
  ];
  const [one] = eventChunks("text", first!, start);
  assert.equal(one?.bytes.toString(), "event: data\ndata:a\n\n");
  const [two] = eventChunks("text", second!, { from: 0, held: one!.ends!.held });
  assert.equal(two?.bytes.toString(), "event: data\ndata:é\n\n");
  const long = sliceOf(1, Buffer.concat([Buffer.from([0xa9]), Buffer.alloc(20_000, "z")]));
  const all = [...eventChunks("text", long, { from: 0, held: one!.ends!.held })].map(({ bytes }) => bytes);
  assert.equal(Buffer.concat(all).toString(), `event: data\ndata:é${"z".repeat(20_000)}\n\n`);
  assert.deepEqual(two?.ends?.held, Buffer.from([0xe2, 0x82]));
  assert.equal(textOf("text", Buffer.from([0xff, 0x61, 0xe2, 0x28])), "event: data\ndata:\ufffda\ufffd(\n\n");
});

test("only the begin of a character is incomplete", () => {
  const of = (...bytes: number[]): number => incompleteBytes(Uint8Array.from(bytes));
  assert.deepEqual(
    [of(), of(0x61), of(0xc3, 0xa9), of(0xe2, 0x82, 0xac), of(0xf0, 0x9f, 0x98, 0x80)],
    [0, 0, 0, 0, 0],
  );
  assert.deepEqual([of(0xc3), of(0x61, 0xe2), of(0xe2, 0x82), of(0xf0, 0x9f, 0x98)], [1, 1, 2, 3]);
  assert.deepEqual([of(0x80), of(0x80, 0x80, 0x80, 0x80), of(0xff), of(0xc0)], [0, 0, 0, 0]);
});

test("readers at the same place share their events, which count in memory while they are sent", () => {
  const memory = new MemoryBudget({ limit: 100_000_000, clock: systemClock });
  const cache = new StreamEventCache(memory);
  const slice = sliceOf(0, Buffer.alloc(900_000, 7));
  const readers = Array.from({ length: 50 }, () => cache.chunks("bytes", slice, start));
  const chunks = readers.map((reader) => [reader.next().value, reader.next().value]);
  for (const [first, second] of chunks) {
    assert.equal(first?.bytes, chunks[0]![0]!.bytes);
    assert.equal(second?.bytes, chunks[0]![1]!.bytes);
  }
  assert.ok(memory.bytes >= 128 * 1024 && memory.bytes < 256 * 1024, String(memory.bytes));
  for (const reader of readers) reader.return();
  assert.equal(memory.bytes, 0);
  const held = { from: 0, held: Buffer.from([0xc3]) };
  const [plain] = cache.chunks("text", slice, start);
  const [continued] = cache.chunks("text", slice, held);
  assert.notDeepEqual(plain?.bytes, continued?.bytes, "what was held back is a part of the place");
});

test("a slow reader keeps only the chunk that it sends, once the cache has removed the text", () => {
  const memory = new MemoryBudget({ limit: 100_000_000, clock: systemClock });
  const cache = new StreamEventCache(memory);
  const slow = cache.chunks("bytes", sliceOf(0, Buffer.alloc(900_000, 7)), start);
  slow.next();
  for (let at = 1; at <= 64; at++) assert.ok([...cache.chunks("bytes", sliceOf(at, "x"), start)].length > 0);
  for (let at = 0; at < 15; at++) slow.next();
  assert.ok(memory.bytes < 128 * 1024, String(memory.bytes));
  slow.return();
  assert.equal(memory.bytes, 0);
});

test("a reader inside a slice, or of a slice whose text may be too large for the cache, has its own", () => {
  const cache = new StreamEventCache();
  const slice = sliceOf(0, "a", "b");
  const own = () => [...cache.chunks("text", slice, { ...start, from: 1 })][0]!.bytes;
  assert.equal(own().toString(), "event: data\ndata:b\n\n");
  const [one, other] = [own(), own()];
  assert.notEqual(one, other);
  const large = sliceOf(0, ...Array.from({ length: 3 }, () => Buffer.alloc(400_000)));
  assert.notEqual(
    [...cache.chunks("bytes", large, start)][0]!.bytes,
    [...cache.chunks("bytes", large, start)][0]!.bytes,
  );
});

test("readers whose control events are equal share the event with it", () => {
  const [chunk] = chunksOf("text", "a");
  const control = controlEvent({ upToDate: true });
  const first = joinedWith(chunk!, control);
  assert.equal(first.toString(), `event: data\ndata:a\n\n${control}`);
  assert.equal(joinedWith(chunk!, control), first);
  const other = controlEvent({});
  assert.equal(joinedWith(chunk!, other).toString(), `event: data\ndata:a\n\n${other}`);
});
