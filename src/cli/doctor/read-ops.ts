/** Reads the ops port of a node, which is plaintext and needs no certificate. */
import { systemClock } from "../../lib/time/clock.ts";
import type { OpsTexts } from "./node-checks.ts";

const timeoutMs = 5_000;
const bytesMax = 8 * 2 ** 20;

/** `ops` is `host:port`. Undefined if no ops port of a node answers there. */
export async function readOps(ops: string): Promise<OpsTexts | undefined> {
  try {
    const beganMs = systemClock.wallMs();
    const ready = await fetch(`http://${ops}/readyz?verbose`, { signal: AbortSignal.timeout(timeoutMs) });
    const middleMs = (beganMs + systemClock.wallMs()) / 2;
    const readyz = await limited(ready);
    if (!/^\[[-+]\]running /m.test(readyz)) return undefined;
    const metrics = await limited(
      await fetch(`http://${ops}/metrics`, { signal: AbortSignal.timeout(timeoutMs) }),
    );
    // The header has whole seconds: its middle is half a second later.
    const date = Date.parse(ready.headers.get("date") ?? "");
    return { readyz, metrics, aheadMs: Number.isNaN(date) ? 0 : date + 500 - middleMs };
  } catch {
    return undefined;
  }
}

/** The start of the body: another program can be there. */
async function limited(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    parts.push(part);
    bytes += part.length;
    if (bytes > bytesMax) break;
  }
  return Buffer.concat(parts).toString("utf8");
}
