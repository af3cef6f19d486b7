/**
 * Reads the whole body of a request, up to a limit.
 */
import { Fault } from "../../../fault.ts";
import { type MemoryBudget, stalledFault } from "../../../memory/mod.ts";
import { GatheredBytes } from "../../request-limits/gathered-bytes.ts";
import { type Exchange, headerOf } from "./exchange.ts";

/**
 * Reads the body. `memory` counts it while it arrives.
 * @throws Fault "too-large" as soon as the body, or its content-length, exceeds the limit; "overloaded" if the budget is
 * full; "canceled" if the client disconnects
 */
export async function readBody(exchange: Exchange, bytesMax: number, memory: MemoryBudget): Promise<Buffer> {
  const length = Number(headerOf(exchange, "content-length") ?? 0);
  const tooLarge = (): Fault => bodyTooLarge(length, bytesMax);
  if (length > bytesMax) throw tooLarge();
  const share = memory.share("in", () => exchange.failBody(stalledFault()));
  const gathered = new GatheredBytes();
  try {
    for await (const chunk of exchange.body) {
      gathered.add(chunk);
      if (gathered.length > bytesMax) throw tooLarge();
      share.hold(gathered.capacity);
      share.progress(chunk.length);
    }
  } finally {
    share.hold(0);
  }
  return gathered.take();
}

/** The fault for a body above the limit. `length` is what the request states. */
export function bodyTooLarge(length: number | undefined, bytesMax: number): Fault {
  const found = length !== undefined && length > bytesMax ? `${length}` : `more than ${bytesMax}`;
  const message = `the body has ${found} bytes, the limit is ${bytesMax}`;
  return new Fault("too-large", { message, facts: { limit: bytesMax } });
}
