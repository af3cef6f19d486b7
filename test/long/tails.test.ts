/** Tails that are dropped, by the thousand; test/wire/hostile.test.ts drops fewer. */
import { test } from "node:test";
import { expressLane } from "../../src/service/mod.ts";
import { dropTails } from "../support/dropped-tails.ts";

for (const [lane, options] of Object.entries({ reference: {}, express: { express: expressLane } })) {
  test(
    `ten thousand tails that are opened and dropped leave nothing behind, ${lane}`,
    {
      timeout: 300_000,
    },
    () => dropTails(20, options),
  );
}
