/**
 * Counts what Connect gathers of a request's body: all of it where one message is expected, else the message that is
 * incomplete. Connect keeps each below its limit, but knows nothing of the other calls.
 *
 * Never: changes a byte.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { connectErrorOf } from "./errors.ts";
import type { HeldShare } from "./held-bytes.ts";

const envelopeBytes = 5;

/** Makes the body count on `share`; its reader gets the error of Fault "overloaded" when there is no room. */
export function heldBody(
  request: UniversalServerRequest,
  kind: DescMethod["methodKind"],
  share: HeldShare,
): void {
  const stream = kind === "client_streaming" || kind === "bidi_streaming";
  const held = stream ? incomplete() : sum();
  request.body = counted(request.body as AsyncIterable<Uint8Array>, share, held);
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  share: HeldShare,
  held: (chunk: Uint8Array) => number,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    try {
      share.hold(held(chunk));
    } catch (reason) {
      throw connectErrorOf(reason);
    }
    yield chunk;
  }
}

function sum(): (chunk: Uint8Array) => number {
  let total = 0;
  return (chunk) => {
    total += chunk.length;
    return total;
  };
}

/** Follows the prefixes of the messages; a length that lies is Connect's to refuse. */
function incomplete(): (chunk: Uint8Array) => number {
  const prefix = Buffer.alloc(envelopeBytes);
  let inPrefix = 0;
  let left = 0;
  let got = 0;
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (left > 0) {
        const bytes = Math.min(left, chunk.length - at);
        left -= bytes;
        got += bytes;
        at += bytes;
      } else {
        got = 0;
        prefix[inPrefix++] = chunk[at++] as number;
        if (inPrefix < envelopeBytes) continue;
        inPrefix = 0;
        left = prefix.readUInt32BE(1);
      }
    }
    return left > 0 ? got : 0;
  };
}
