/**
 * A pipelining client of Redis for the suite `logs`. Replies come in the order of the commands.
 * Grammar (redis.io, "RESP protocol", version 2):
 *
 *   reply := "+" line | "-" line | ":" number | "$" length CRLF bytes CRLF | "$-1" | "*" count CRLF reply…
 */
import { connect, type Socket } from "node:net";

/** A string, or an array of replies. */
export type Reply = string | null | readonly Reply[];

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (reason: Error) => void;
}

/** Encodes a command. */
export const encodeCommand = (...words: readonly (string | Buffer)[]): Buffer => {
  const parts: Buffer[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words) {
    const bytes = typeof word === "string" ? Buffer.from(word) : word;
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat(parts);
};

export class RespClient {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #in: Buffer = Buffer.alloc(0);
  #out: Buffer[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    socket.on("close", () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error("the connection closed"));
    });
  }

  static open(port: number): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () =>
        resolve(new RespClient(socket)),
      );
      socket.on("error", reject);
    });
  }

  send(command: Buffer): Promise<Reply> {
    if (this.#out.length === 0) queueMicrotask(() => this.#flush());
    this.#out.push(command);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    this.#socket.write(Buffer.concat(this.#out));
    this.#out = [];
  }

  #onChunk(chunk: Buffer): void {
    const bytes = this.#in.length === 0 ? chunk : Buffer.concat([this.#in, chunk]);
    let at = 0;
    for (;;) {
      const parsed = parse(bytes, at);
      if (parsed === undefined) break;
      at = parsed.end;
      const waiting = this.#waiting.shift();
      if (parsed.error !== undefined) waiting?.reject(new Error(parsed.error));
      else waiting?.resolve(parsed.reply);
    }
    this.#in = bytes.subarray(at);
  }
}

interface Parsed {
  readonly reply: Reply;
  readonly error?: string;
  readonly end: number;
}

/** Returns undefined if the reply is not complete. */
function parse(bytes: Buffer, at: number): Parsed | undefined {
  const lineEnd = bytes.indexOf("\r\n", at);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString("latin1", at + 1, lineEnd);
  const start = lineEnd + 2;
  switch (bytes[at]) {
    case 0x2d: // -
      return { reply: null, error: line, end: start };
    case 0x24: {
      // $
      const length = Number(line);
      if (length < 0) return { reply: null, end: start };
      if (start + length + 2 > bytes.length) return undefined;
      return { reply: bytes.toString("latin1", start, start + length), end: start + length + 2 };
    }
    case 0x2a: {
      // *
      const items: Reply[] = [];
      let end = start;
      for (let left = Number(line); left > 0; left--) {
        const item = parse(bytes, end);
        if (item === undefined) return undefined;
        items.push(item.reply);
        ({ end } = item);
      }
      return { reply: items, end };
    }
    default:
      return { reply: line, end: start };
  }
}
