/**
 * The whole body of a request, bounded.
 */
import { Fault } from "../../../fault.ts";
import { type MemoryBudget, stalledFault } from "../../../memory/mod.ts";
import { GatheredBytes } from "../../request-limits/gathered-bytes.ts";
import { type Exchange, headerOf } from "./exchange.ts";

/**
 * Reads the body; while it arrives, `held` counts it.
 * @throws Fault "too-large" as soon as the limit is passed, or known to be; "overloaded" when other unfinished requests
 * leave no room; "canceled" when the client goes away
 */
export async function readBody(exchange: Exchange, bytesMax: number, memory: MemoryBudget): Promise<Buffer> {
  const tooLarge = (): Fault =>
    new Fault("too-large", { message: `the body exceeds ${bytesMax} bytes`, facts: { limit: bytesMax } });
  if (Number(headerOf(exchange, "content-length") ?? 0) > bytesMax) throw tooLarge();
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
