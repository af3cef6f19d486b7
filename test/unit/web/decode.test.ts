import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pack } from "msgpackr";
import { fromBase64, toBase64 } from "../../../web/src/core/base64.ts";
import {
  detect,
  hexRows,
  parseJson,
  parseMsgpack,
  preview,
  previewLength,
} from "../../../web/src/core/decode.ts";
import { decodeMsgpack } from "../../../web/src/core/msgpack.ts";
import { visibleBlock, visibleLine } from "../../../web/src/core/visible.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const seeded = { seed: 5, numRuns: 400 };

test("base64 is the platform's, both ways, in either alphabet", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const text = Buffer.from(bytes).toString("base64");
      assert.equal(toBase64(bytes), text);
      assert.deepEqual(fromBase64(text), Uint8Array.from(bytes));
      assert.deepEqual(fromBase64(Buffer.from(bytes).toString("base64url")), Uint8Array.from(bytes));
    }),
    seeded,
  );
  for (const wrong of ["a", "ab*d", "äöü="]) assert.equal(fromBase64(wrong), undefined, wrong);
});

test("MessagePack is read as msgpackr wrote it", () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: "grapheme" }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("any"), { maxLength: 20 }),
      fc.dictionary(fc.string(), tie("any"), { maxKeys: 20 }),
    ),
  })).any;
  fc.assert(
    fc.property(value, (found) => {
      const bytes = Uint8Array.from(pack(found));
      assert.deepEqual(JSON.parse(JSON.stringify(decodeMsgpack(bytes))), JSON.parse(JSON.stringify(found)));
    }),
    seeded,
  );
});

test("hostile MessagePack ends in an error at once: deep, endless or cut short", () => {
  assert.throws(() => decodeMsgpack(new Uint8Array(100_000).fill(0x91)), /deeply/);
  assert.throws(() => decodeMsgpack(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)), /cut short/);
  assert.throws(() => decodeMsgpack(Uint8Array.of(0xdf, 0x7f, 0xff, 0xff, 0xff, 1)), /cut short/);
  assert.throws(() => decodeMsgpack(Uint8Array.of(0xc1)), /never used/);
  assert.throws(() => decodeMsgpack(Uint8Array.of(1, 2)), /follow/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (garbage) => void parseMsgpack(garbage)),
    { ...seeded, numRuns: 3000 },
  );
});

test("the format of bytes is detected: JSON, text, MessagePack, anything else", () => {
  assert.equal(detect(utf8('  {"a":1}')), "json");
  assert.equal(detect(utf8("plain — text\n")), "text");
  assert.equal(detect(Uint8Array.from(pack({ name: "héllo", n: 200 }))), "msgpack");
  assert.equal(detect(Uint8Array.of(0, 255, 254, 3, 0, 9)), "hex");
  assert.equal(detect(new Uint8Array()), "text");
  assert.equal(
    detect(utf8("é".repeat(400)).subarray(0, 511)),
    "text",
    "a character cut by the look does not count",
  );
});

test("a row's line is short and a single line, whatever the value", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2000 }),
      fc.constantFrom("auto", "json", "text", "hex", "base64", "msgpack"),
      (value, as) => {
        const line = preview(value, as as "auto");
        assert.ok(line.length <= previewLength + 3, `${line.length}`);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there.
        assert.doesNotMatch(line, /[\u0000-\u001f\u202a-\u202e\u2066-\u2069]/);
      },
    ),
    seeded,
  );
});

test("a megabyte or a hundred thousand brackets are previewed without being parsed", () => {
  assert.ok(preview(utf8("[".repeat(1 << 20)), "auto").startsWith("[[["));
  assert.equal(parseJson(utf8("[".repeat(100_000))).ok, false);
  assert.equal(parseJson(utf8(`${"[".repeat(100_000)}${"]".repeat(100_000)}`)).ok, true);
});

test("controls and bidirectional overrides become visible signs, one for one", () => {
  assert.equal(visibleLine("a\u202eb\u0000c\nd\te\u007f"), "a[U+202E]b␀c⏎d⇥e␡");
  assert.equal(visibleBlock("a\n\tb\r\u2066"), "a\n\tb␍[U+2066]");
  assert.equal(visibleLine("שלום 👩‍👩‍👧"), "שלום 👩‍👩‍👧", "letters and emoji stay as they are");
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => assert.equal(visibleLine(text).length, text.length)),
    seeded,
  );
});

test("a hex dump shows every byte once", () => {
  const value = Uint8Array.from({ length: 35 }, (_, at) => at + 30);
  const rows = hexRows(value, 0, 10);
  assert.deepEqual(
    rows.map((row) => row.position),
    ["000000", "000010", "000020"],
  );
  assert.equal(rows.map((row) => row.hex.replace(/ /g, "")).join(""), Buffer.from(value).toString("hex"));
  assert.equal(rows[0]?.ascii, "·· !\"#$%&'()*+,-");
});
