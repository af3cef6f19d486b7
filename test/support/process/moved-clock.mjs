/**
 * node --import …/moved-clock.mjs with MOVED_CLOCK=FILE moves the wall clock of this process by the milliseconds in the file.
 * The file is read every 20 ms; without a file the clock is not moved. The monotonic clock and timers do not change, as when
 * an operator or NTP sets the clock.
 *
 * src reads the wall clock only with Date.now (test/house.test.ts).
 */
import { readFileSync } from "node:fs";

const file = process.env["MOVED_CLOCK"];
if (file !== undefined) {
  const now = Date.now;
  let byMs = 0;
  const read = () => {
    try {
      byMs = Number(readFileSync(file, "utf8")) || 0;
    } catch {
      byMs = 0;
    }
  };
  read();
  setInterval(read, 20).unref();
  Date.now = () => now() + byMs;
}
