/** The headers of client commands, compared with those of Node.js. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LightHeaders } from "../../../src/cli/light-headers.ts";
import { prng } from "../../../src/lib/prng.ts";

const names = ["a", "A", "Content-Type", "set-cookie", "Set-Cookie", "x-b", "grpc-status"];
const values = ["", "1", " spaced\t", "a, b", "é", "two  words"];

test("random changes give the same headers as those of Node.js", () => {
  const random = prng("light-headers").stream("changes");
  for (let round = 0; round < 200; round++) {
    const init = Array.from({ length: random.between(0, 3) }, (): [string, string] => [
      random.pick(names),
      random.pick(values),
    ]);
    const [light, real] = [new LightHeaders(init), new Headers(init)];
    for (let step = 0; step < 8; step++) {
      const [name, value] = [random.pick(names), random.pick(values)];
      const change = random.pick(["append", "set", "delete"] as const);
      for (const headers of [light, real])
        if (change === "delete") headers.delete(name);
        else headers[change](name, value);
      const asked = random.pick(names);
      assert.equal(light.get(asked), real.get(asked));
      assert.equal(light.has(asked), real.has(asked));
    }
    assert.deepEqual([...light], [...real]);
    assert.deepEqual([...light.keys(), ...light.values()], [...real.keys(), ...real.values()]);
    assert.deepEqual(light.getSetCookie(), real.getSetCookie());
    const [ours, theirs]: [string[], string[]] = [[], []];
    light.forEach((value, name) => void ours.push(`${name}=${value}`));
    real.forEach((value, name) => void theirs.push(`${name}=${value}`));
    assert.deepEqual(ours, theirs);
    assert.deepEqual([...new LightHeaders(light).entries()], [...new Headers(real).entries()]);
  }
});

test("headers are made of an object, and of others", () => {
  assert.deepEqual([...new LightHeaders({ B: "2", a: "1" })], [...new Headers({ B: "2", a: "1" })]);
  assert.deepEqual([...new LightHeaders()], []);
  // fetch() takes them.
  assert.equal(new Headers([...new LightHeaders({ a: "1" })]).get("a"), "1");
});

test("a name or a value that HTTP does not allow is refused", () => {
  for (const headers of [new LightHeaders(), new Headers()]) {
    for (const name of ["", "a b", "é", "a:"]) {
      assert.throws(() => headers.set(name, "1"), TypeError, name);
      assert.throws(() => headers.get(name), TypeError, name);
    }
    for (const value of ["a\nb", "a\0", "€"]) assert.throws(() => headers.set("a", value), TypeError);
  }
});
