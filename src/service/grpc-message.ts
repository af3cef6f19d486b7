/**
 * The header grpc-message, percent-encoded as gRPC says: only what is not printable ASCII, and `%` itself. Connect
 * encodes more, and clients that decode with decodeURI (grpc-js) then show `%3A` for a colon. Pure.
 *
 * Never: changes the message.
 */

/** gRPC's encoding of a text. */
export function encodeGrpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/g, (part) => encodeURIComponent(part));
}

/** Encodes the message in gRPC's trailers anew. */
export function mendGrpcMessage(trailer: Headers): void {
  const encoded = trailer.get("grpc-message");
  if (encoded?.includes("%")) trailer.set("grpc-message", encodeGrpcMessage(decodeURIComponent(encoded)));
}
