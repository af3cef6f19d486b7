/**
 * Decodes the Huffman code of HPACK (RFC 7541, appendix B). The server sends no Huffman code, so there is no encoder.
 * The code is canonical: the code lengths alone define it.
 */

/** The code length of each byte value in bits. The end-of-string symbol has 30 bits. */
const lengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const endOfString = 256;

/** The code as a binary tree. The children of node n are at 2n and 2n+1; a negative child is the symbol −1−child. */
const tree = buildTree();

function buildTree(): Int16Array {
  const symbols = [...lengths.keys(), endOfString].sort(
    (left, right) => lengthOf(left) - lengthOf(right) || left - right,
  );
  const nodes = new Int16Array(2 * 512);
  let made = 1;
  let code = 0;
  let bits = 0;
  for (const symbol of symbols) {
    const length = lengthOf(symbol);
    code *= 2 ** (length - bits);
    bits = length;
    let node = 0;
    for (let at = length - 1; at > 0; at--) {
      const child = 2 * node + (Math.floor(code / 2 ** at) % 2);
      if (nodes[child] === 0) nodes[child] = made++;
      node = nodes[child] as number;
    }
    nodes[2 * node + (code % 2)] = -1 - symbol;
    code++;
  }
  return nodes;
}

function lengthOf(symbol: number): number {
  return symbol === endOfString ? 30 : (lengths[symbol] as number);
}

/** Decodes `bytes[start … end)` to Latin-1 text. Returns undefined if it is not valid Huffman code. */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number): string | undefined {
  const out = Buffer.allocUnsafe(Math.ceil(((end - start) * 8) / 5));
  let to = 0;
  let node = 0;
  let depth = 0;
  let allOnes = true;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    for (let bit = 7; bit >= 0; bit--) {
      const one = (byte >> bit) & 1;
      const next = tree[2 * node + one] as number;
      depth++;
      if (one === 0) allOnes = false;
      if (next >= 0) {
        node = next;
        continue;
      }
      if (next === -1 - endOfString) return undefined;
      out[to++] = -1 - next;
      node = 0;
      depth = 0;
      allOnes = true;
    }
  }
  // Padding has at most seven bits. They are the first bits of the end-of-string symbol, which are all ones.
  return depth <= 7 && allOnes ? out.toString("latin1", 0, to) : undefined;
}
