/**
 * The header grpc-message, percent-encoded as gRPC says: only what is not printable ASCII, and `%` itself. Connect
 * encodes more, and clients that decode with decodeURI (grpc-js) then show `%3A` for a colon. Pure.
 *
 * Never: changes the message.
 */

import type { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

/** gRPC's encoding of a text. */
export function encodeGrpcMessage(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]+/g, (part) => encodeURIComponent(part));
}

/** The trailers of an error: grpc-status, grpc-message and grpc-status-details-bin. */
export function grpcStatusOf(error: ConnectError): [name: string, value: string][] {
  const headers = new Headers();
  setTrailerStatus(headers, error);
  headers.set("grpc-message", encodeGrpcMessage(error.rawMessage));
  return [...headers];
}

/** Encodes the message in gRPC's trailers anew. */
export function reencodeGrpcMessage(trailer: Headers): void {
  const encoded = trailer.get("grpc-message");
  if (encoded?.includes("%")) trailer.set("grpc-message", encodeGrpcMessage(decodeURIComponent(encoded)));
}
