/** One request over HTTP/1.1 on a connection of its own, which is kept open as clients do, as WireResponse. */
import { Agent, request } from "node:http";
import type { WireResponse } from "./fast-path-servers.ts";

export function sendHttp1(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<WireResponse> {
  const agent = new Agent({ keepAlive: true });
  return new Promise<WireResponse>((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, method: "POST", agent };
    const all = { "content-length": String(body.length), ...headers };
    const sent = request({ ...options, headers: all }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          headers: { ":status": response.statusCode, ...response.headers },
          trailers: { ...response.trailers },
          body: Buffer.concat(chunks),
          reset: 0,
        }),
      );
    });
    sent.on("error", reject);
    sent.end(body);
  }).finally(() => agent.destroy());
}
