/** Counts the messages in the body of a streamed response, without decoding them. */
import { readU32be } from "../../lib/bytes.ts";
import { envelopeBytes } from "../../lib/envelope.ts";

/** Returns a function that takes the body piece by piece, and returns how many messages each piece completes. */
export function messageCounter(): (piece: Uint8Array) => number {
  const head = new Uint8Array(envelopeBytes);
  let headBytes = 0;
  /** Bytes of the current message that have not arrived, once its head has. */
  let left = 0;
  return (piece) => {
    let count = 0;
    let at = 0;
    while (at < piece.length || (headBytes === envelopeBytes && left === 0)) {
      if (headBytes < envelopeBytes) {
        head[headBytes++] = piece[at++]!;
        if (headBytes === envelopeBytes) left = readU32be(head, 1);
        continue;
      }
      const taken = Math.min(left, piece.length - at);
      at += taken;
      left -= taken;
      if (left > 0) break;
      headBytes = 0;
      count++;
    }
    return count;
  };
}
