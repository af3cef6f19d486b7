/** What takes long to compile is refused before. Other expressions are not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RE2JS } from "@bufbuild/re2";
import { PatternSize } from "../../../src/filter/compile/pattern-size.ts";
import { compileFilter } from "../../../src/filter/mod.ts";
import { prng } from "../../../src/lib/prng.ts";

const check = (pattern: string): void => new PatternSize().check(pattern);

test("an expression that is large before it is simplified is refused", () => {
  const large = [
    "a{0,1000}".repeat(50),
    "(.{0,50}){0,20}".repeat(30),
    "(?:\\pL{30}){33}".repeat(3),
    "((a{10}){10}){30}",
    "(\\Qab\\E{900}){3}",
    "[)]{600}(?P<name>b{1,900}){2,}",
  ];
  for (const pattern of large) assert.throws(() => check(pattern), /too large/, pattern);
});

test("an expression that ignores the case of large ranges is refused", () => {
  const large = [
    "(?i)[B-\\x{1e900}]",
    "(?i:[^]B-\u{1e900}])",
    "(?sUi)[\\x{100}-\\x{5000}]a[\\x{100}-\\x{6000}]",
    "(?i)[[:alpha:]\\dB-\\x{1e900}]",
    "(?i)[\\]B-\\x{1e900}]",
    "(?i)[\\102-\\x{1e900}]",
  ];
  for (const pattern of large) assert.throws(() => check(pattern), /ignores case/, pattern);
  for (const pattern of ["[B-\\x{1e900}]", "(?i)[a-z\\x{4e00}-\\x{9fff}]"]) check(pattern);
});

test("a filter uses few Unicode classes, each often", () => {
  check("[\\pL\\p{N}_]+\\PL\\p{^N}{2,3}");
  assert.throws(() => check("\\pL\\p{Greek}\\p{Han}"), /different Unicode classes/);
  assert.throws(() => check("[\\pL\\pN\\p{Zs}]"), /different Unicode classes/);
  assert.throws(() => check("\\pL".repeat(17)), /more than 16 Unicode classes/);
  const greek = (name: string): string => `text.matches("\\\\p{${name}}")`;
  const three = ["Greek", "Han", "Thai"].map(greek).join(" || ");
  assert.throws(() => compileFilter(three), /different Unicode classes/);
});

test("no expression with a program within the limit is refused", () => {
  const random = prng(7);
  const atoms = [
    "a",
    ".",
    "[a-z]",
    "[^]x-]",
    "\\d",
    "\\Qab*\\E",
    "\\x{41}",
    "\\pL",
    "\\(",
    "é",
    "^",
    "[[:^alpha:]b]",
  ];
  const repeats = ["*", "+?", "?", "{2}", "{0,3}", "{3,}", "{1,2}?", "", "", "{", "{a}"];
  const pattern = (depth: number): string => {
    let text = "";
    for (let left = random.between(1, 4); left > 0; left--) {
      const inner = depth > 0 && random.chance(1 / 3);
      const group = random.pick(["(", "(?:", "(?i:", "(?P<n>"]);
      text += (inner ? `${group}${pattern(depth - 1)})` : random.pick(atoms)) + random.pick(repeats);
      if (random.chance(1 / 5)) text += "|";
    }
    return text;
  };
  let tried = 0;
  for (let run = 0; run < 2_000; run++) {
    const text = pattern(4);
    let size: number;
    try {
      size = RE2JS.compile(text).re2().prog.numInst();
    } catch {
      continue;
    }
    if (size > 500) continue;
    tried++;
    try {
      check(text);
    } catch (reason) {
      assert.match(String(reason), /Unicode classes/, `${text} has ${size} instructions`);
    }
  }
  assert.ok(tried > 500, `${tried} patterns`);
});
