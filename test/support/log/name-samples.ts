/** Names for tests of their order. */
/** Compares two names by their UTF-8 bytes. */
export const byBytes = (one: string, other: string): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other));
/** Where UTF-16 and UTF-8 differ: code points from U+E000 on, and those above U+FFFF. */
export const points = [
  "",
  "a",
  "a/",
  "a/b",
  "ab",
  "b",
  "\u00fc",
  "\ud7ff",
  "\ue000",
  "\uff5e",
  "\uffff",
  "\u{10000}",
  "\u{1f600}",
  "\u{10ffff}",
];
/** Pairs of the points, without the empty name. */
export const names = [...new Set(points.flatMap((one) => points.map((other) => one + other)))].filter(
  (name) => name !== "",
);
