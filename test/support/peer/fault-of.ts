/** Returns the fault with which work fails, for assertions about its kind and facts. */
import assert from "node:assert/strict";
import { Fault } from "../../../src/fault.ts";

/** @throws AssertionError if `work` resolves or rejects with something else */
export async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const reason = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  assert.ok(reason instanceof Fault, String(reason));
  return reason;
}
