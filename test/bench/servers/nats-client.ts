/**
 * A client of NATS for the suite `logs`: publishes, requests with one reply or several, and subscriptions.
 * Grammar (docs.nats.io, "Client protocol"):
 *
 *   PUB subject [reply] bytes\r\npayload\r\n
 *   MSG subject sid [reply] bytes\r\npayload\r\n
 *   HMSG subject sid [reply] headerBytes totalBytes\r\nheader payload\r\n
 */
import { connect, type Socket } from "node:net";

const lineEnd = Buffer.from("\r\n");
/** Headers end with an empty line; a status without a payload, such as 503, is `NATS/1.0 503`. */
const noResponders = "NATS/1.0 503";

export interface NatsMessage {
  readonly subject: string;
  /** Empty if there is none. */
  readonly header: string;
  readonly payload: Buffer;
}

/** Receives the messages of an inbox. It returns true when it has the last one. */
type Receiver = (message: NatsMessage) => boolean;

export class NatsClient {
  readonly #socket: Socket;
  readonly #receivers = new Map<string, Receiver>();
  #in: Buffer = Buffer.alloc(0);
  #out: (string | Buffer)[] = [];
  #lastInbox = 0;
  /** By the id of the subscription. */
  readonly #deliveries = new Map<string, () => void>();
  readonly #failed: (reason: Error) => void;

  private constructor(socket: Socket, failed: (reason: Error) => void) {
    this.#socket = socket;
    this.#failed = failed;
    socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    this.#send('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB _I.> 1\r\n');
  }

  static open(port: number): Promise<NatsClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () =>
        resolve(new NatsClient(socket, reject)),
      );
      socket.on("error", reject);
    });
  }

  /** Sends a message and resolves to the reply. Rejects if the server has no such subject, or reports an error. */
  request(subject: string, payload: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.requestMany(subject, payload, ({ header, payload: reply }) => {
        if (header.startsWith(noResponders)) reject(new Error(`no answer on ${subject}`));
        else if (reply.includes('"error"')) reject(new Error(reply.toString()));
        else resolve();
        return true;
      });
    });
  }

  requestMany(subject: string, payload: Buffer, receive: Receiver): void {
    const inbox = `_I.${++this.#lastInbox}`;
    this.#receivers.set(inbox, receive);
    this.#send(`PUB ${subject} ${inbox} ${payload.length}\r\n`, payload, lineEnd);
  }

  /** Subscribes to the subject of a push consumer, whose messages have the subject of their stream. */
  subscribe(subject: string, onMessage: () => void): void {
    const id = `T${this.#deliveries.size}`;
    this.#deliveries.set(id, onMessage);
    this.#send(`SUB ${subject} ${id}\r\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** All output of one turn is one write. */
  #send(...parts: (string | Buffer)[]): void {
    if (this.#out.length === 0) queueMicrotask(() => this.#flush());
    this.#out.push(...parts);
  }

  #flush(): void {
    const out = this.#out;
    this.#out = [];
    this.#socket.write(
      Buffer.concat(out.map((part) => (typeof part === "string" ? Buffer.from(part) : part))),
    );
  }

  #onChunk(chunk: Buffer): void {
    const bytes = this.#in.length === 0 ? chunk : Buffer.concat([this.#in, chunk]);
    let at = 0;
    for (;;) {
      const end = bytes.indexOf("\r\n", at);
      if (end < 0) break;
      const line = bytes.toString("latin1", at, end);
      const words = line.split(" ");
      const hasHeader = words[0] === "HMSG";
      if (words[0] === "MSG" || hasHeader) {
        const length = Number(words.at(-1));
        const start = end + 2;
        if (start + length + 2 > bytes.length) break;
        const headerBytes = hasHeader ? Number(words.at(-2)) : 0;
        const delivered = this.#deliveries.get(words[2] as string);
        if (delivered !== undefined) delivered();
        else this.#onMessage(words[1] as string, bytes.subarray(start, start + length), headerBytes);
        at = start + length + 2;
        continue;
      }
      if (line === "PING") this.#send("PONG\r\n");
      else if (line.startsWith("-ERR")) this.#failed(new Error(line));
      at = end + 2;
    }
    this.#in = bytes.subarray(at);
  }

  #onMessage(subject: string, bytes: Buffer, headerBytes: number): void {
    const receive = this.#receivers.get(subject);
    if (receive === undefined) return;
    const header = headerBytes === 0 ? "" : bytes.toString("latin1", 0, headerBytes);
    if (receive({ subject, header, payload: bytes.subarray(headerBytes) })) this.#receivers.delete(subject);
  }
}
