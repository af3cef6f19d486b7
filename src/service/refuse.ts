/**
 * Answers for RPC requests that reach no method: one line of JSON with a hint for people with curl, a proper gRPC
 * status for gRPC clients.
 *
 * Never: reads the body.
 */
import { Code } from "@connectrpc/connect";
import { codeName } from "./errors.ts";
import { encodeGrpcMessage } from "./grpc-message.ts";
import { headerOf, type NodeRequest, type NodeResponse, send } from "./http.ts";

interface Refusal {
  readonly code: Code;
  readonly message: string;
}

function refusalOf(request: NodeRequest, status: number): Refusal {
  const path = request.url?.split("?", 1)[0] ?? "";
  switch (status) {
    case 404:
      return {
        code: Code.Unimplemented,
        message: `there is no method ${path}; grpcurl and buf curl can list them`,
      };
    case 405:
      return { code: Code.Unimplemented, message: `${request.method} is not for ${path}; use POST` };
    case 415:
      return {
        code: Code.InvalidArgument,
        message:
          `content type ${headerOf(request, "content-type") ?? "(none)"} does not suit ${path}; ` +
          "unary methods take application/json (curl -H 'content-type: application/json'), " +
          "streams take application/connect+json; for a live stream with curl there is GET /tail",
      };
    case 505:
      return { code: Code.InvalidArgument, message: `${path} streams both ways and needs HTTP/2` };
    default:
      return { code: Code.Internal, message: "the request could not be served" };
  }
}

/** Ends the response with `status`, or for gRPC callers with the gRPC status of the same meaning. */
export function refuseRpc(
  request: NodeRequest,
  response: NodeResponse,
  status: number,
  allowed: readonly string[] = ["POST"],
): void {
  const { code, message } = refusalOf(request, status);
  const type = headerOf(request, "content-type") ?? "";
  if (type.startsWith("application/grpc") && status !== 505) {
    const trailers = { "grpc-status": String(code), "grpc-message": encodeGrpcMessage(message) };
    if (type.startsWith("application/grpc-web")) {
      send(response, 200, { "content-type": "application/grpc-web+proto", ...trailers }, "");
    } else {
      response.writeHead(200, { "content-type": "application/grpc" });
      response.addTrailers(trailers);
      response.end();
    }
    return;
  }
  const headers: Record<string, string> = { "content-type": "application/json", "cache-control": "no-store" };
  if (status === 405) headers["allow"] = allowed.join(", ");
  if (status === 505 && request.httpVersionMajor === 1) headers["connection"] = "close";
  send(response, status, headers, `${JSON.stringify({ code: codeName(code), message, written: "no" })}\n`);
}
