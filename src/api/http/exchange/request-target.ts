/**
 * Reads the target and the authority of an HTTP/1.1 request (RFC 9112 §3.2).
 */
import type { IncomingMessage } from "node:http";

/**
 * Returns the target and the authority of a request, or why they are invalid. The authority of a target in absolute form
 * replaces the Host field (RFC 9112 §3.2.2).
 */
export function requestTarget(
  request: IncomingMessage,
): { readonly target: string; readonly authority: string | undefined } | { readonly wrong: string } {
  const { url = "/", rawHeaders } = request;
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  if (hosts > 1) return { wrong: "the host is given more than once" };
  if (url.startsWith("/") || url === "*") return { target: url, authority: request.headers.host };
  const start = /^https?:\/\//i.exec(url)?.[0].length ?? url.length;
  const length = url.slice(start).search(/[/?#]/);
  const authority = length < 0 ? url.slice(start) : url.slice(start, start + length);
  if (authority === "") return { wrong: "the target is neither a path nor a URL" };
  const rest = url.slice(start + authority.length);
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority };
}
