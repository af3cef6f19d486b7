import type { IncomingMessage } from "node:http";

/** The body of a request. Undefined: its connection ended before the body did, for example because its client was killed. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of request) pieces.push(piece as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(pieces);
}
