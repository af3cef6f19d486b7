/**
 * The part of XMLHttpRequest that Google's grpc-web client needs, over node:http. It streams text as a browser does.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";

export class Xhr {
  readyState = 0;
  status = 0;
  statusText = "";
  responseText = "";
  response: string | ArrayBuffer = "";
  responseType = "";
  withCredentials = false;
  timeout = 0;
  onreadystatechange: (() => void) | null = null;
  onload: (() => void) | null = null;
  onprogress: (() => void) | null = null;
  ontimeout: (() => void) | null = null;
  upload = {};
  readonly #headers: Record<string, string> = {};
  #method = "GET";
  #url = "";
  #request: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;

  open(method: string, url: string): void {
    this.#method = method;
    this.#url = url;
    this.#become(1);
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers[name] = value;
  }

  send(body?: string | Uint8Array): void {
    const request = httpRequest(this.#url, { method: this.#method, headers: this.#headers, agent: false });
    this.#request = request;
    request.on("error", () => this.#become(4));
    request.on("response", (answer) => {
      this.#answer = answer;
      this.status = answer.statusCode ?? 0;
      this.statusText = answer.statusMessage ?? "";
      this.#become(2);
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        if (this.responseType !== "arraybuffer") this.responseText += chunk.toString("latin1");
        this.response = this.responseText;
        this.#become(3);
        this.onprogress?.();
      });
      answer.on("end", () => {
        const whole = Buffer.concat(chunks);
        if (this.responseType === "arraybuffer") {
          this.response = whole.buffer.slice(
            whole.byteOffset,
            whole.byteOffset + whole.length,
          ) as ArrayBuffer;
        }
        this.#become(4);
        this.onload?.();
      });
      answer.on("error", () => this.#become(4));
    });
    request.end(body);
  }

  getResponseHeader(name: string): string | null {
    const value = this.#answer?.headers[name.toLowerCase()];
    return typeof value === "string" ? value : null;
  }

  getAllResponseHeaders(): string {
    return Object.entries(this.#answer?.headers ?? {})
      .map(([name, value]) => `${name}: ${String(value)}\r\n`)
      .join("");
  }

  abort(): void {
    this.#request?.destroy();
  }

  #become(state: number): void {
    this.readyState = state;
    this.onreadystatechange?.();
  }
}
