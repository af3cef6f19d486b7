/**
 * All encodings of gossip, with the real `serf` agent.
 */
import { test } from "node:test";
import { generateKey } from "../../src/membership/mod.ts";
import { requireProgram } from "../support/process/require-program.ts";
import { scratch } from "../support/scratch.ts";
import { interop, title } from "../wire/gossip/serf-interop.ts";

for (const direction of ["they join us", "we join them"] as const) {
  for (const key of [undefined, generateKey(), Buffer.alloc(16, 7).toString("base64")]) {
    for (const compression of [true, false]) {
      const item = { direction, key, compression };
      const bits = key === undefined ? "" : `, ${Buffer.from(key, "base64").length * 8} bits`;
      test(`with a serf agent: ${title(item)}${bits}`, requireProgram("serf"), async (t) => {
        await interop(t, scratch(t), item);
      });
    }
  }
}
