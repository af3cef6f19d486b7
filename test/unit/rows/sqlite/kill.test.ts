/** A process that is killed while it writes rows. */
import { test } from "node:test";
import { scratch } from "../../../support/scratch.ts";
import { killRepeatedly } from "../kill-rows.ts";

test("a killed process loses no write that it reported, and leaves no half of one", async (t) => {
  const kills = Number(process.env["KILLS"] ?? 4);
  t.diagnostic(`${await killRepeatedly(scratch(t), kills)} writes, ${kills} kills`);
});
