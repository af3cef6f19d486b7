/** Which prefixes of a text a prefix tree finds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PrefixTree } from "../../../src/access/prefix-tree.ts";

interface Value {
  readonly prefix: string;
}

function treeOf(prefixes: readonly string[]): PrefixTree<Value> {
  const tree = new PrefixTree<Value>();
  for (const prefix of prefixes) tree.getOrAdd(prefix, () => ({ prefix }));
  return tree;
}

const found = (tree: PrefixTree<Value>, text: string): string[] =>
  [...tree.of(text)].map(({ prefix }) => prefix);

test("the prefixes of a text are found, the shortest first", () => {
  const tree = treeOf(["orders/eu", "orders/", "", "orders/us", "orders/eu/1", "o"]);
  assert.deepEqual(found(tree, "orders/eu/12"), ["", "o", "orders/", "orders/eu", "orders/eu/1"]);
  assert.deepEqual(found(tree, "orders"), ["", "o"]);
  assert.deepEqual(found(tree, ""), [""]);
  assert.deepEqual(found(treeOf([]), "orders"), []);
});

test("a prefix has one value", () => {
  const tree = new PrefixTree<Value>();
  const first = tree.getOrAdd("ab", () => ({ prefix: "ab" }));
  tree.getOrAdd("a", () => ({ prefix: "a" }));
  tree.getOrAdd("ac", () => ({ prefix: "ac" }));
  assert.equal(
    tree.getOrAdd("ab", () => assert.fail("there is a value")),
    first,
  );
});

test("a tree finds what a comparison with each prefix finds", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "é", "😀", "😁"), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 40 }), fc.array(text, { maxLength: 20 }), (prefixes, texts) => {
      const tree = treeOf(prefixes);
      for (const one of texts) {
        const expected = [...new Set(prefixes)].filter((prefix) => one.startsWith(prefix));
        assert.deepEqual(
          found(tree, one),
          expected.sort((left, right) => left.length - right.length),
        );
      }
    }),
    { numRuns: 300, seed: 20261129 },
  );
});

test("a text as long as its prefixes are many is searched without recursion", () => {
  const long = "x".repeat(2_000);
  const tree = treeOf(Array.from({ length: 2_000 }, (_, at) => long.slice(0, at + 1)));
  assert.equal(found(tree, long).length, 2_000);
});
