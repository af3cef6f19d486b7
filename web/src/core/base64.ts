/** Base64: encodes with the standard alphabet and padding, decodes either alphabet, padded or not; else undefined. */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const sixBits = new Int8Array(128).fill(-1);
for (let at = 0; at < 64; at++) sixBits[alphabet.charCodeAt(at)] = at;
sixBits["-".charCodeAt(0)] = 62;
sixBits["_".charCodeAt(0)] = 63;

export function toBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 3) {
    const [a, b, c] = [bytes[at] as number, bytes[at + 1], bytes[at + 2]];
    parts.push(
      alphabet[a >> 2] as string,
      alphabet[((a & 3) << 4) | ((b ?? 0) >> 4)] as string,
      b === undefined ? "=" : (alphabet[((b & 15) << 2) | ((c ?? 0) >> 6)] as string),
      c === undefined ? "=" : (alphabet[c & 63] as string),
    );
  }
  return parts.join("");
}

export function fromBase64(text: string): Uint8Array | undefined {
  const clean = text.replace(/\s+/g, "").replace(/={1,2}$/, "");
  if (clean.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((clean.length * 3) / 4));
  let [bits, held, out] = [0, 0, 0];
  for (let at = 0; at < clean.length; at++) {
    const value = sixBits[clean.charCodeAt(at)] ?? -1;
    if (value < 0) return undefined;
    bits = ((bits << 6) | value) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[out++] = (bits >> held) & 255;
  }
  return bytes;
}
