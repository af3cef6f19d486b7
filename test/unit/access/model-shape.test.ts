/** What is read from a Casbin model. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { newModelFromString } from "casbin";
import { defaultModel } from "../../../src/access/model.ts";
import { modelShape } from "../../../src/access/model-shape.ts";

const bookModel = readFileSync(new URL("data/book-model.conf", import.meta.url), "utf8");
const shapeOf = (model: string) => modelShape(newModelFromString(model), "model.conf");

test("a matcher that is not recognized exactly is decided by Casbin", () => {
  assert.deepEqual(shapeOf(bookModel).form, { roles: false, prefixes: false, anyAction: false });
  assert.deepEqual(shapeOf(defaultModel).form, { roles: true, prefixes: true, anyAction: true });
  for (const [from, to] of [
    ["g(r.sub, p.sub)", "g(p.sub, r.sub)"],
    ["logMatch(r.obj, p.obj)", "logMatch(p.obj, r.obj)"],
    ["logMatch(r.obj, p.obj)", '(p.obj == "*" || globMatch(r.obj, p.obj))'],
    ["logMatch", "keyMatch"],
    ["some(where (p.eft == allow))", "!some(where (p.eft == deny))"],
    ["p = sub, obj, act", "p = sub, obj, act, eft"],
    ["r.act == p.act)", 'r.act == p.act) && r.sub != "x"'],
    ["g = _, _", "g = _, _, _"],
  ] as const) {
    assert.ok(defaultModel.includes(from), from);
    assert.equal(shapeOf(defaultModel.replaceAll(from, to)).form, undefined, to);
  }
});

test("an object is a pattern only if the matcher calls logMatch with it", () => {
  const objectOf = (model: string): number | undefined => shapeOf(model).lines.get("p")?.logPattern;
  assert.equal(objectOf(defaultModel), 1);
  assert.equal(objectOf(defaultModel.replace("p = sub, obj, act", "p = act, sub, obj")), 2);
  assert.equal(objectOf(bookModel), undefined);
  assert.equal(objectOf(defaultModel.replace("logMatch", "keyMatch")), undefined);
});
