/** A unary gRPC call of the load generator. */
import { envelopeBytes } from "../../../src/lib/envelope.ts";
import type { H2Client } from "../load/h2-client.ts";

/** Sends an envelope and returns the message of the response. Rejects if there is none: an error has only trailers. */
export function call(client: H2Client, head: Buffer, envelope: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    client.request(head, envelope, {
      onData: (chunk) => chunks.push(chunk),
      onEnd: (reset) => {
        const body = Buffer.concat(chunks);
        if (reset || body.length < envelopeBytes) reject(new Error("the server refused"));
        else resolve(body.subarray(envelopeBytes));
      },
    });
  });
}
