/** The part of S3 that a store of objects uses, in memory, for machines without a real server. It checks signatures' dates and hashes. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { bodyOf } from "../http/body-of.ts";

interface Stored {
  readonly data: Buffer;
  readonly modified: Date;
}
interface Reply {
  readonly status: number;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

const tagOf = (data: Buffer): string => `"${createHash("md5").update(data).digest("hex")}"`;
const error = (status: number, code: string): Reply => ({
  status,
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said by the stub</Message></Error>`,
  headers: { "content-type": "application/xml" },
});
const xml = (body: string): Reply => ({ status: 200, body, headers: { "content-type": "application/xml" } });

export class StubS3 implements AsyncDisposable {
  readonly #server: Server;
  readonly #bucket: string;
  readonly #key: string;
  readonly #objects = new Map<string, Stored>();
  readonly #uploads = new Map<string, { readonly name: string; readonly parts: Map<number, Buffer> }>();
  #ids = 0;

  private constructor(bucket: string, key: string) {
    [this.#bucket, this.#key] = [bucket, key];
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async open(bucket: string, credentials: { readonly AWS_ACCESS_KEY_ID: string }): Promise<StubS3> {
    const stub = new StubS3(bucket, credentials.AWS_ACCESS_KEY_ID);
    stub.#server.listen(0, "127.0.0.1");
    await once(stub.#server, "listening");
    return stub;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    if (body === undefined) return;
    const reply = this.#answer(request, body);
    response.writeHead(reply.status, reply.headers ?? {});
    response.end(request.method === "HEAD" ? undefined : reply.body);
  }

  #answer(request: IncomingMessage, body: Buffer): Reply {
    const url = new URL(request.url ?? "/", "http://stub");
    const [, bucket = "", ...rest] = decodeURIComponent(url.pathname).split("/");
    const refusal = this.#refusal(request, body);
    if (refusal !== undefined) return refusal;
    if (bucket !== this.#bucket) return error(404, "NoSuchBucket");
    const name = rest.join("/");
    if (name === "") return url.searchParams.has("uploads") ? this.#listUploads(url) : this.#list(url);
    const { method, headers } = request;
    const id = url.searchParams.get("uploadId");
    if (id !== null || url.searchParams.has("uploads"))
      return this.#upload(method ?? "", name, url, body, headers);
    if (method === "PUT") return this.#put(name, body, headers);
    if (method === "DELETE") return this.#objects.delete(name) ? { status: 204 } : { status: 204 };
    return this.#get(name, headers.range);
  }

  #refusal({ headers }: IncomingMessage, body: Buffer): Reply | undefined {
    if (!String(headers.authorization).includes(`Credential=${this.#key}/`))
      return error(403, "InvalidAccessKeyId");
    const at = String(headers["x-amz-date"]).replace(/(....)(..)(..T..)(..)(..Z)/, "$1-$2-$3:$4:$5");
    if (Math.abs(Date.parse(at) - Date.now()) > 15 * 60_000) return error(403, "RequestTimeTooSkewed");
    const hash = createHash("sha256").update(body).digest("hex");
    return headers["x-amz-content-sha256"] === hash ? undefined : error(400, "XAmzContentSHA256Mismatch");
  }

  #put(name: string, data: Buffer, headers: IncomingMessage["headers"]): Reply {
    const now = this.#objects.get(name);
    if (headers["if-none-match"] === "*" && now !== undefined) return error(412, "PreconditionFailed");
    const wanted = headers["if-match"];
    if (wanted !== undefined && now === undefined) return error(404, "NoSuchKey");
    if (wanted !== undefined && tagOf(now!.data) !== wanted) return error(412, "PreconditionFailed");
    this.#objects.set(name, { data, modified: new Date() });
    return { status: 200, headers: { etag: tagOf(data) } };
  }

  #get(name: string, range: string | undefined): Reply {
    const found = this.#objects.get(name);
    if (found === undefined) return error(404, "NoSuchKey");
    const { data } = found;
    const etag = tagOf(data);
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    if (from === undefined)
      return { status: 200, body: data, headers: { etag, "content-length": String(data.length) } };
    if (Number(from) >= data.length) return error(416, "InvalidRange");
    const part = data.subarray(Number(from), Number(to) + 1);
    const contentRange = `bytes ${from}-${Number(from) + part.length - 1}/${data.length}`;
    return { status: 206, body: part, headers: { etag, "content-range": contentRange } };
  }

  #list(url: URL): Reply {
    const prefix = url.searchParams.get("prefix") ?? "";
    const after = url.searchParams.get("continuation-token") ?? "";
    const max = Number(url.searchParams.get("max-keys"));
    const names = [...this.#objects.keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const page = names.slice(0, max);
    const isCut = page.length < names.length;
    const items = page.map((name) => {
      const { data, modified } = this.#objects.get(name)!;
      return `<Contents><Key>${encodeURIComponent(name)}</Key><LastModified>${modified.toISOString()}</LastModified><Size>${data.length}</Size></Contents>`;
    });
    const next = isCut ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : "";
    return xml(
      `<ListBucketResult><IsTruncated>${isCut}</IsTruncated>${items.join("")}${next}</ListBucketResult>`,
    );
  }

  #listUploads(url: URL): Reply {
    const prefix = url.searchParams.get("prefix") ?? "";
    const items = [...this.#uploads]
      .filter(([, { name }]) => name.startsWith(prefix))
      .map(([id, { name }]) => `<Upload><Key>${name}</Key><UploadId>${id}</UploadId></Upload>`);
    return xml(`<ListMultipartUploadsResult>${items.join("")}</ListMultipartUploadsResult>`);
  }

  #upload(method: string, name: string, url: URL, body: Buffer, headers: IncomingMessage["headers"]): Reply {
    const id = url.searchParams.get("uploadId");
    if (id === null) {
      const created = `upload${this.#ids++}`;
      this.#uploads.set(created, { name, parts: new Map() });
      return xml(
        `<InitiateMultipartUploadResult><UploadId>${created}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    const upload = this.#uploads.get(id);
    if (upload === undefined) return error(404, "NoSuchUpload");
    if (method === "DELETE") {
      this.#uploads.delete(id);
      return { status: 204 };
    }
    if (method === "PUT") {
      upload.parts.set(Number(url.searchParams.get("partNumber")), body);
      return { status: 200, headers: { etag: tagOf(body) } };
    }
    const tags = [...body.toString().matchAll(/<ETag>(.*?)<\/ETag>/g)].map(([, tag]) =>
      tag!.replaceAll("&quot;", '"'),
    );
    const parts = tags.map((_, at) => upload.parts.get(at + 1));
    if (parts.some((part, at) => part === undefined || tagOf(part) !== tags[at]))
      return error(400, "InvalidPart");
    const stored = this.#put(name, Buffer.concat(parts as Buffer[]), headers);
    if (stored.status === 200) this.#uploads.delete(id);
    return stored.status === 200
      ? xml("<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
      : stored;
  }
}
