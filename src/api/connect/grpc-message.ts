/**
 * Encodes the header grpc-message as gRPC over HTTP/2 specifies: percent-encoding only for `%` and for characters other
 * than printable ASCII. Connect encodes more characters, and clients that decode with decodeURI (grpc-js) then show
 * `%3A` for a colon.
 */

import type { ConnectError } from "@connectrpc/connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

/** Returns the percent-encoded text. */
export function encodeGrpcMessage(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]+/g, (part) => encodeURIComponent(part));
}

/** Returns the trailers of an error: grpc-status, grpc-message and grpc-status-details-bin. */
export function grpcStatusOf(error: ConnectError): [name: string, value: string][] {
  const headers = new Headers();
  setTrailerStatus(headers, error);
  headers.set("grpc-message", encodeGrpcMessage(error.rawMessage));
  return [...headers];
}

/** Replaces the encoding of grpc-message in the trailers. */
export function reencodeGrpcMessage(trailer: Headers): void {
  const encoded = trailer.get("grpc-message");
  if (encoded?.includes("%")) trailer.set("grpc-message", encodeGrpcMessage(decodeURIComponent(encoded)));
}
