import assert from "node:assert/strict";
import { test } from "node:test";
import { nameFlawOf } from "../../../../src/lib/names/log-name.ts";
import { newNameFlawOf } from "../../../../src/lib/names/new-name.ts";

test("a new name may have letters of every script, and emoji of every form", () => {
  for (const name of [
    "orders/eu/1",
    "größe",
    "заказы",
    "注文",
    "طلبات",
    "आदेश",
    "🦀",
    "☺️",
    "👍🏽",
    "🇩🇪",
    "1️⃣",
    "👩‍👩‍👧‍👦/a",
    "🧑🏽‍🚀",
    "❤️‍🔥",
    "❤‍🔥",
    "🏳️‍🌈",
    "👁️‍🗨️",
    "🙂‍↔️",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
  ])
    assert.deepEqual([newNameFlawOf(name), nameFlawOf(name)], [undefined, undefined], name);
});

test("a new name has no character that is not visible, and the flaw names the first one", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["a\u200bb", /U\+200B, which is not visible/],
    ["a\u200cb", /U\+200C, which is not visible/],
    ["a\u200db", /U\+200D, which is not visible/],
    ["🦀\u200d", /U\+200D/],
    ["\u200d🦀", /U\+200D/],
    ["🦀\u200da", /U\+200D/],
    ["🦀\u200d\u200d🦀", /U\+200D/],
    ["a\ufe0f", /U\+FE0F, which is not visible/],
    ["☺\ufe0f\ufe0f", /U\+FE0F/],
    ["a\u200e", /U\+200E, which changes the direction of text/],
    ["a\u200f", /U\+200F, which changes the direction of text/],
    ["a\u061c", /U\+061C, which changes the direction of text/],
    ["nimda\u202e", /U\+202E, which changes the direction of text/],
    ["a\u2066b\u2069", /U\+2066, which changes the direction of text/],
    ["a\u2060", /U\+2060, which is not visible/],
    ["a\u2065", /U\+2065, which is not visible/],
    ["\ufeffa", /U\+FEFF, which is not visible/],
    ["a\u00ad", /U\+00AD, which is not visible/],
    ["\u3164", /U\+3164, which is not visible/],
    ["a\u{e0041}", /U\+E0041, which is not visible/],
    ["🦀\u{e0067}\u{e0062}\u{e0065}\u{e007f}", /U\+E0067/],
    ["a\u2028b", /U\+2028, which separates lines/],
    ["a\u0378", /U\+0378, which is not assigned/],
    ["a\uffff", /U\+FFFF, which is not assigned/],
    ["a\u{10ffff}", /U\+10FFFF, which is not assigned/],
    ["a\u0085", /U\+0085, a control character/],
    ["a\ufffd", /U\+FFFD, which stands for bytes that are not UTF-8/],
  ];
  for (const [name, flaw] of wrong) assert.match(newNameFlawOf(name) ?? "none", flaw, JSON.stringify(name));
});

test("every code point of the ranges that hide text is refused", () => {
  const ranges = [
    [0x200b, 0x200f],
    [0x202a, 0x202e],
    [0x2060, 0x2069],
    [0xfeff, 0xfeff],
    [0x00, 0x1f],
    [0x7f, 0x9f],
    [0xfdd0, 0xfdef],
  ] as const;
  for (const [first, last] of ranges)
    for (let code = first; code <= last; code++)
      assert.ok(newNameFlawOf(`a${String.fromCodePoint(code)}b`) !== undefined, code.toString(16));
});
