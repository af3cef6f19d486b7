/** The order of names: that of their UTF-8 bytes. Pure. */

/**
 * Compares two names by their UTF-8 bytes. UTF-16 has another order only for surrogates, which stand for code points above
 * the others.
 */
export function compareNames(one: string, other: string): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at++) {
    const [a, b] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (a !== b) return byteRank(a) - byteRank(b);
  }
  return one.length - other.length;
}

const byteRank = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit);
