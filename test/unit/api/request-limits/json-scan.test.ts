import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type JsonLimits, jsonLimits, scanJson } from "../../../../src/api/request-limits/json-scan.ts";
import { Fault } from "../../../../src/fault.ts";

const scan = (text: string, limits: Partial<JsonLimits> = {}) =>
  scanJson(Buffer.from(text), { ...jsonLimits, ...limits });

function refused(kind: string, work: () => unknown): string {
  try {
    work();
  } catch (reason) {
    assert(reason instanceof Fault);
    assert.equal(reason.kind, kind);
    assert.equal(reason.written, "no");
    return reason.message;
  }
  throw new Error("nothing was thrown");
}

test("every JSON text has a shape, and the text of each outermost member is its value", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(undefined, 1, "\t"), (json, indent) => {
      const text = JSON.stringify(JSON.parse(json), undefined, indent);
      const shape = scan(text);
      assert(shape !== undefined, text);
      const tree: unknown = JSON.parse(text);
      const isObject = typeof tree === "object" && tree !== null && !Array.isArray(tree);
      const members = Object.entries(isObject ? tree : {});
      assert.equal(shape.members.size, members.length);
      for (const [name, value] of members) {
        const span = shape.members.get(name);
        assert(span !== undefined, name);
        const found = Buffer.from(text).toString("utf8", span.start, span.end);
        assert.equal(JSON.stringify(JSON.parse(found)), JSON.stringify(value));
      }
    }),
  );
});

test("a text that JSON.parse accepts has a shape; a text without a shape is refused by JSON.parse", () => {
  const pieces = fc.constantFrom(..."[]{},:", '"a"', '"', "\\", "1", "true", " ", "\n", '{"a":', "\u00e9");
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
      const text = parts.join("");
      if (scan(text) !== undefined) return;
      assert.throws(() => JSON.parse(text), SyntaxError, JSON.stringify(text));
    }),
    { numRuns: 5000 },
  );
});

test("the depth is limited, and the text after the limit is not scanned", () => {
  assert.notEqual(scan("[".repeat(100) + "]".repeat(100)), undefined);
  for (const deep of ["[".repeat(4_000_000), '{"a":'.repeat(800_000), "[".repeat(101) + "]".repeat(101)]) {
    assert.match(
      refused("bad-request", () => scan(deep)),
      /nested deeper than 100 levels/,
    );
  }
});

test("the number of values is limited: numbers, literals, strings, arrays and objects", () => {
  for (const value of ["1", "null", '""', "[]", "{}"]) {
    assert.notEqual(scan(`[${Array(99).fill(value).join()}]`, { valuesMax: 100 }), undefined);
    const text = `[${Array(100).fill(value).join()}]`;
    assert.match(
      refused("too-large", () => scan(text, { valuesMax: 100 })),
      /more than 100 JSON values/,
    );
  }
});

test("elements of the named list have their own limits and positions", () => {
  const list = { name: "records", elementsMax: 3, elementValuesMax: 4 };
  const text = '{"x":[1,2,3,4,5],"records":[{"a":1} , 7,[1,2,3]],"y":{"records":[1,2,3,4,5]}}';
  const shape = scan(text, { valuesMax: 20, list });
  const found = [];
  for (let at = 0; at < (shape?.elements.length ?? 0); at += 2) {
    found.push(text.slice(shape?.elements[at], shape?.elements[at + 1]));
  }
  assert.deepEqual(found, ['{"a":1}', "7", "[1,2,3]"]);
  assert.match(
    refused("too-large", () => scan('{"records":[1,2,3,4]}', { list })),
    /more than 3 records in one request/,
  );
  assert.match(
    refused("too-large", () => scan('{"records":[[1,2,3,4]]}', { list })),
    /more than 4 JSON values in one of the records/,
  );
  assert.deepEqual(scan('{"records":[1],"records":[2,3]}', { list })?.elements.length, 4);
  assert.deepEqual(scan('{"records":[1],"records":null}', { list })?.elements, []);
});

test("the first repeated key is found if requested, also if it is escaped differently", () => {
  const duplicate = (text: string) => scan(text, { findDuplicate: true })?.duplicate;
  assert.equal(duplicate('{"a":{"x":1},"b":{"x":1},"c":["x","x",{"x":1}]}'), undefined);
  assert.equal(duplicate('{"a":{"b":1,"\\u0062":2},"c":1,"c":2}'), "b");
  assert.equal(duplicate('{"é":1,"é":2}'), "é");
  assert.equal(scan('{"a":1,"a":2}')?.duplicate, undefined);
});

test("the bytes of keys are limited in the request, and in each element of the list", () => {
  const list = { name: "l", elementsMax: 10, elementValuesMax: 10 };
  const limits = { keyBytesMax: 20, list };
  assert.notEqual(scan('{"12345678":1,"a":{"123":2}}', limits), undefined);
  refused("too-large", () => scan('{"12345678":1,"a":{"12345678":2}}', limits));
  const element = '{"1234567":1,"1":2}';
  assert.notEqual(scan(`{"l":[${[element, element, element].join()}]}`, limits), undefined);
  refused("too-large", () => scan(`{"l":[${element},{"1234567":1,"1234567890":2}]}`, limits));
  refused("too-large", () => scan(`{"1234567":1,"l":[${element}],"1234567":1,"l":[${element}]}`, limits));
});
