/**
 * Reads events or lines of GET /tail for tests. It does not reconnect.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";

export interface TailEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
}

export interface TailReader {
  readonly status: number;
  readonly contentType: string;
  /** Returns the next event, undefined at the end. A comment is an event named "comment". */
  next(): Promise<TailEvent | undefined>;
  /** Returns all events up to the end. */
  all(): Promise<TailEvent[]>;
  readonly response: IncomingMessage;
  close(): void;
}

export async function openTail(url: string, headers: Record<string, string> = {}): Promise<TailReader> {
  const request: ClientRequest = httpRequest(url, { headers, agent: false });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    request.once("error", reject);
    request.end();
  });
  request.on("error", () => undefined);
  response.on("error", () => undefined);
  const contentType = response.headers["content-type"] ?? "";
  const separator = contentType.startsWith("text/event-stream") ? "\n\n" : "\n";
  const iterator = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let text = "";
  const next = async (): Promise<TailEvent | undefined> => {
    for (let end = text.indexOf(separator); ; end = text.indexOf(separator)) {
      if (end >= 0) {
        const block = text.slice(0, end);
        text = text.slice(end + separator.length);
        return separator === "\n" ? { data: block } : parseEvent(block);
      }
      const step = await iterator.next().catch(() => ({ done: true, value: undefined }) as const);
      if (step.done) return undefined;
      text += step.value.toString("utf8");
    }
  };
  return {
    status: response.statusCode ?? 0,
    contentType,
    response,
    next,
    async all() {
      const events: TailEvent[] = [];
      for (let event = await next(); event !== undefined; event = await next()) events.push(event);
      return events;
    },
    close: () => request.destroy(),
  };
}

function parseEvent(block: string): TailEvent {
  if (block.startsWith(":")) return { event: "comment", data: block.slice(1).trim() };
  const fields = new Map(
    block.split("\n").map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")] as const;
    }),
  );
  const [id, event] = [fields.get("id"), fields.get("event") ?? (fields.has("retry") ? "retry" : undefined)];
  return {
    data: fields.get("data") ?? fields.get("retry") ?? "",
    ...(id === undefined ? {} : { id }),
    ...(event === undefined ? {} : { event }),
  };
}
