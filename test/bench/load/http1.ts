/** Requests over HTTP/1.1 with keep-alive, one in flight on each connection. */
import { connect } from "node:net";
import type { Rate } from "./requests.ts";

/** Encodes a POST request. `origin`: as a page of this server sends it. */
export function postRequest(path: string, type: string, body: Uint8Array, origin?: string): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    `host: ${origin === undefined ? "localhost" : new URL(origin).host}`,
    `content-type: ${type}`,
    `content-length: ${body.length}`,
    ...(origin === undefined ? [] : [`origin: ${origin}`]),
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
}

/** Sends `total` requests on `inFlight` connections. Responses must be 200 and have a content-length. */
export async function http1Rate(
  port: number,
  request: Buffer,
  inFlight: number,
  total: number,
): Promise<Rate> {
  let [sent, longestMs] = [0, 0];
  const started = performance.now();
  const connection = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      let text = "";
      let from = 0;
      const next = (): void => {
        if (sent >= total) {
          socket.destroy();
          resolve();
          return;
        }
        sent++;
        from = performance.now();
        socket.write(request);
      };
      socket.setNoDelay(true);
      socket.on("connect", next);
      socket.on("error", reject);
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        const head = text.indexOf("\r\n\r\n");
        if (head < 0) return;
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
        if (text.length < head + 4 + length) return;
        if (!text.startsWith("HTTP/1.1 200")) reject(new Error(text));
        longestMs = Math.max(longestMs, performance.now() - from);
        text = "";
        next();
      });
    });
  await Promise.all(Array.from({ length: inFlight }, connection));
  return { perSecond: total / ((performance.now() - started) / 1000), longestMs };
}
