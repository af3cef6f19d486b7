/** Unary requests over HTTP/2, on one connection. */
import { H2Client, type Target } from "./h2-client.ts";

export interface Rate {
  readonly perSecond: number;
  /** The longest time from a request to its response. */
  readonly longestMs: number;
}

/** Sends `total` requests with `inFlight` at a time. `bodyOf` makes the body of each. */
export async function requestRate(
  target: Target,
  headers: Buffer,
  bodyOf: () => Uint8Array,
  inFlight: number,
  total: number,
): Promise<Rate> {
  const client = await H2Client.open(target);
  let longestMs = 0;
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    let [sent, done] = [0, 0];
    const next = (): void => {
      if (sent === total) return;
      sent++;
      const from = performance.now();
      client.request(headers, bodyOf(), {
        onEnd: (reset) => {
          if (reset) return reject(new Error("a request was reset"));
          longestMs = Math.max(longestMs, performance.now() - from);
          if (++done === total) resolve();
          else next();
        },
      });
    };
    for (let at = 0; at < inFlight; at++) next();
  });
  const seconds = (performance.now() - started) / 1000;
  client.close();
  return { perSecond: total / seconds, longestMs };
}
