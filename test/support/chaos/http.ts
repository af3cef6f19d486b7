/**
 * One HTTP/1.1 request as a script would make it: an answer in any case, never an exception.
 *
 * Never: repeats.
 */
import { Agent, request } from "node:http";

export interface Answer {
  /** 0 when there was no answer. */
  readonly status: number;
  /** The body; empty where it is not JSON. */
  readonly json: object;
  /** The system's code, or what else prevented an answer. */
  readonly failed: string | undefined;
}

interface Ask {
  readonly method?: string;
  readonly body?: string;
  readonly timeoutMs: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

export function http(url: string, { method = "GET", body, timeoutMs }: Ask): Promise<Answer> {
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      resolve({ status: 0, json: {}, failed: (error as NodeJS.ErrnoException).code ?? error.message });
    };
    const headers = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const asking = request(
      url,
      { method, agent, headers, signal: AbortSignal.timeout(timeoutMs) },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8");
        answer.on("data", (chunk: string) => {
          text += chunk;
        });
        answer.on("error", fail);
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, json: parse(text), failed: undefined }),
        );
      },
    );
    asking.on("error", fail);
    asking.end(body);
  });
}

function parse(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}
