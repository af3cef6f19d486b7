import assert from "node:assert/strict";
import { test } from "node:test";
import { compareNames } from "../../../../src/lib/names/name-order.ts";
import { byBytes, names } from "../../../support/log/name-samples.ts";

test("names are in the order of their UTF-8 bytes", () => {
  for (const one of names)
    for (const other of names)
      assert.equal(Math.sign(compareNames(one, other)), byBytes(one, other), `${one} ${other}`);
});
