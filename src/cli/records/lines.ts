/** Splits a stream of bytes into lines. A line can contain any bytes except the line end, which is left out. */
import { Fault } from "../../fault.ts";

/**
 * Yields the lines. Bytes after the last line end are a line, too.
 * @throws Fault "too-large" for a line of more than `lineBytesMax` bytes
 */
export async function* linesOf(
  stream: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      const end = chunk.subarray(from, at);
      yield rest.length === 0 ? end : Buffer.concat([...rest, end]);
      rest = [];
      restBytes = 0;
      from = at + 1;
    }
    if (from < chunk.length) {
      rest.push(chunk.subarray(from));
      restBytes += chunk.length - from;
      if (restBytes > lineBytesMax) {
        throw new Fault("too-large", { message: `a line has more than ${lineBytesMax} bytes` });
      }
    }
  }
  if (restBytes > 0) yield Buffer.concat(rest);
}
