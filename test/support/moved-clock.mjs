/**
 * node --import …/moved-clock.mjs with MOVED_CLOCK=path of a file: the wall clock of this process, and of no other, is
 * off by the milliseconds that the file says. The file is looked at again and again; no file is no offset. The
 * monotonic clock and all timers are as they were, as when an operator or NTP sets the clock.
 *
 * src reads the wall clock by Date.now alone (test/house.test.ts).
 */
import { readFileSync } from "node:fs";

const file = process.env["MOVED_CLOCK"];
if (file !== undefined) {
  const now = Date.now;
  let byMs = 0;
  const look = () => {
    try {
      byMs = Number(readFileSync(file, "utf8")) || 0;
    } catch {
      byMs = 0;
    }
  };
  look();
  setInterval(look, 20).unref();
  Date.now = () => now() + byMs;
}
