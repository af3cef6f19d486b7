/** Encodes LZW as Go's compress/lzw does (LSB, 8-bit literals), for tests of the decoder. */
export function lzwEncode(input: Uint8Array): Buffer {
  const output: number[] = [];
  let [bits, bitCount, width, high] = [0, 0, 9, 257];
  let table = new Map<string, number>();
  const put = (code: number): void => {
    bits |= code << bitCount;
    bitCount += width;
    while (bitCount >= 8) {
      output.push(bits & 0xff);
      bits >>>= 8;
      bitCount -= 8;
    }
  };
  /** Advances to the next code. Clears the table at the last one and returns false. */
  const grow = (): boolean => {
    high++;
    if (high === 1 << width) width++;
    if (high < 4095) return true;
    put(256);
    [width, high, table] = [9, 257, new Map()];
    return false;
  };
  put(256);
  let current: number | undefined;
  for (const byte of input) {
    if (current === undefined) {
      current = byte;
      continue;
    }
    const key = `${current},${byte}`;
    const known = table.get(key);
    if (known !== undefined) current = known;
    else {
      put(current);
      if (grow()) table.set(key, high);
      current = byte;
    }
  }
  if (current !== undefined) {
    put(current);
    grow();
  }
  put(257);
  if (bitCount > 0) output.push(bits & 0xff);
  return Buffer.from(output);
}
