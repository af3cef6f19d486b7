/** P10: produces over HTTP/1.1 with keep-alive, one request in flight per connection. */
import { connect } from "node:net";

/** Returns the requests per second. Responses are delimited by their content-length. */
export async function http1Rate(port: number, inFlight: number, total: number): Promise<number> {
  const body = JSON.stringify({ record: { value: Buffer.alloc(100, "tailrace ").toString("base64") } });
  const request = Buffer.from(
    `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  let sent = 0;
  const started = performance.now();
  await Promise.all(
    Array.from(
      { length: inFlight },
      () =>
        new Promise<void>((resolve, reject) => {
          const socket = connect(port, "127.0.0.1");
          let text = "";
          const next = (): void => {
            if (sent >= total) {
              socket.destroy();
              resolve();
              return;
            }
            sent++;
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
            text = "";
            next();
          });
        }),
    ),
  );
  return total / ((performance.now() - started) / 1000);
}
