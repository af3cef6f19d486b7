/** Writes the output of a connection to its socket: what is written in one turn leaves together. */
import type { Socket } from "node:net";

/** Pieces up to this size are copied into one write with those beside them. */
const copiedBytesMax = 16 * 1024;
/** A write of copied pieces. */
const joinedBytesMax = 64 * 1024;

/**
 * Writes the pieces in their order. `onSent` is called when they have left. Returns what was written: small pieces are joined, large
 * ones are not copied.
 */
export function sendPieces(
  socket: Pick<Socket, "cork" | "uncork" | "write">,
  pieces: readonly Uint8Array[],
  onSent: (() => void) | undefined,
): readonly Uint8Array[] {
  const joined = joinedPieces(pieces);
  if (joined.length > 1) socket.cork();
  for (const [at, piece] of joined.entries())
    socket.write(piece, at === joined.length - 1 ? onSent : undefined);
  if (joined.length > 1) socket.uncork();
  return joined;
}

function joinedPieces(pieces: readonly Uint8Array[]): Uint8Array[] {
  const joined: Uint8Array[] = [];
  let from = 0;
  let bytes = 0;
  const join = (end: number): void => {
    if (end - from === 1) joined.push(pieces[from]!);
    else if (end > from) joined.push(Buffer.concat(pieces.slice(from, end), bytes));
    from = end;
    bytes = 0;
  };
  for (const [at, { length }] of pieces.entries()) {
    if (length > copiedBytesMax || bytes + length > joinedBytesMax) join(at);
    bytes += length;
    if (length > copiedBytesMax) join(at + 1);
  }
  join(pieces.length);
  return joined;
}
