/**
 * A stream of bytes cut into lines. Pure but for the stream.
 *
 * Never: decodes; a line may hold any bytes but the line end, which is left out.
 */
import { Fault } from "../../fault.ts";

/** Lines as they come. What stands behind the last line end is a line too, unless it is empty. */
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
