/**
 * Plain HTTP/1.1 requests for tests. Redirects are not followed, and only Host and Content-Length are added.
 */
import { request as httpRequest } from "node:http";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON. */
  readonly json: Record<string, unknown>;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Sends no content-length. Default false. */
  readonly chunked?: boolean;
}

export function curl(url: string, ask: Ask = {}): Promise<Answer> {
  const { method = "GET", headers = {}, body } = ask;
  return new Promise((resolve, reject) => {
    const length: Record<string, string> =
      body === undefined || ask.chunked ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const request = httpRequest(
      url,
      { method, headers: { ...length, ...headers }, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            get json() {
              return JSON.parse(text) as Record<string, unknown>;
            },
          });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
