/** The value of the header field `date`. */
import type { Clock } from "../../lib/time/clock.ts";

/** Returns a function that returns the current value. The text is created once a second. */
export function httpDate(clock: Clock): () => string {
  let second = Number.NaN;
  let text = "";
  return () => {
    const now = Math.floor(clock.wallMs() / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toUTCString();
    }
    return text;
  };
}
