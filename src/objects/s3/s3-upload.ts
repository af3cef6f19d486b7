/**
 * Uploads one object. A small one is one request. A large one is sent in parts, some of them at the same time, and there is
 * no object before the last request.
 *
 *   write … write ──► part (8 MiB) ──► UploadPart      finish ──► CompleteMultipartUpload, If-None-Match: *
 */
import { createHash, type Hash } from "node:crypto";
import { Fault } from "../../fault.ts";
import type { ObjectWriter } from "../object-store.ts";
import type { S3Body, S3Connection } from "./s3-connection.ts";
import { completion, elementOf } from "./s3-xml.ts";
import type { UploadMemory } from "./upload-memory.ts";

/** S3 wants at least 5 MiB, and at most 10 000 parts. */
const smallestPartBytes = 8 * 1024 * 1024;
const partsMax = 10_000;
/** Of a request with a condition that does not hold: the object is there already. */
const conditionFailed = 412;

/** Collects a body and its hash. */
class BodyBuilder {
  #pieces: Uint8Array[] = [];
  #hash: Hash = createHash("sha256");
  bytes = 0;

  add(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#hash.update(piece);
    this.bytes += piece.length;
  }

  take(): S3Body {
    const body = { pieces: this.#pieces, bytes: this.bytes, sha256: this.#hash.digest("hex") };
    [this.#pieces, this.#hash, this.bytes] = [[], createHash("sha256"), 0];
    return body;
  }
}

export const bodyOf = (data: Uint8Array): S3Body => {
  const builder = new BodyBuilder();
  builder.add(data);
  return builder.take();
};

/**
 * Resolves to the size of an object; undefined without one. It asks for one byte, because the answer to HEAD has no body that
 * says why it is refused.
 */
export async function sizeOf(connection: S3Connection, name: string): Promise<number | undefined> {
  const headers = { range: "bytes=0-0" };
  const found = await connection.send({ method: "GET", name, headers, accepted: [404, 416] });
  if (found.status === 404) return undefined;
  const total = /\/(\d+)$/.exec(String(found.headers["content-range"]))?.[1];
  const bytes = Number(total ?? (found.status === 200 ? found.body.length : 0));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new Fault("corrupt", { message: `the S3 server sends no size of ${name}` });
}

export class S3Upload implements ObjectWriter {
  readonly #connection: S3Connection;
  readonly #memory: UploadMemory;
  readonly #name: string;
  readonly #bytes: number;
  readonly #partBytes: number;
  readonly #body = new BodyBuilder();
  readonly #tags: string[] = [];
  readonly #sends: Promise<void>[] = [];
  /** What is held for the body that is collected. */
  #heldBytes = 0;
  #id: string | undefined;
  #failure: unknown;
  #parts = 0;
  #written = 0;

  constructor(connection: S3Connection, memory: UploadMemory, name: string, bytes: number) {
    [this.#connection, this.#memory, this.#name, this.#bytes] = [connection, memory, name, bytes];
    this.#partBytes = Math.max(smallestPartBytes, Math.ceil(bytes / partsMax));
  }

  async write(data: Uint8Array): Promise<void> {
    for (let from = 0; from < data.length; ) {
      if (this.#body.bytes === 0) await this.#hold();
      const piece = data.subarray(from, from + this.#partBytes - this.#body.bytes);
      this.#body.add(piece);
      from += piece.length;
      this.#written += piece.length;
      if (this.#body.bytes === this.#partBytes && this.#bytes > this.#partBytes) await this.#sendPart();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  async finish(): Promise<void> {
    if (this.#written !== this.#bytes)
      throw new Fault("corrupt", { message: `${this.#name} has ${this.#written} bytes, not ${this.#bytes}` });
    if (this.#bytes <= this.#partBytes) return await this.#putWhole();
    if (this.#body.bytes > 0) await this.#sendPart();
    await Promise.all(this.#sends);
    if (this.#failure !== undefined) throw this.#failure;
    await this.#complete();
  }

  async abandon(): Promise<void> {
    this.#failure ??= new Fault("canceled", { message: `the upload of ${this.#name} was given up` });
    this.#letGo();
    await Promise.all(this.#sends);
    if (this.#id === undefined) return;
    const query = { uploadId: this.#id };
    await this.#connection
      .send({ method: "DELETE", name: this.#name, query, accepted: [404] })
      .catch(() => undefined);
  }

  /** Takes the memory of the next body. */
  async #hold(): Promise<void> {
    if (this.#heldBytes > 0) return;
    const bytes = Math.min(this.#partBytes, Math.max(0, this.#bytes - this.#written));
    await this.#memory.take(bytes);
    this.#heldBytes = bytes;
  }

  #letGo(): void {
    if (this.#heldBytes > 0) this.#memory.give(this.#heldBytes);
    this.#heldBytes = 0;
  }

  async #putWhole(): Promise<void> {
    const body = this.#body.take();
    try {
      await this.#memory.send(() =>
        this.#connection.send({
          method: "PUT",
          name: this.#name,
          headers: { ...this.#connection.settings.encryption, "if-none-match": "*" },
          body,
          accepted: [conditionFailed],
        }),
      );
    } finally {
      this.#letGo();
    }
  }

  async #sendPart(): Promise<void> {
    this.#id ??= await this.#begin();
    const [body, heldBytes, part] = [this.#body.take(), this.#heldBytes, this.#parts++];
    this.#heldBytes = 0;
    const send = this.#memory
      .send(() => this.#putPart(part, body))
      .catch((reason: unknown) => {
        this.#failure ??= reason;
      })
      .finally(() => this.#memory.give(heldBytes));
    this.#sends.push(send);
  }

  async #putPart(part: number, body: S3Body): Promise<void> {
    if (this.#failure !== undefined) return;
    const query = { partNumber: String(part + 1), uploadId: this.#id! };
    const { headers } = await this.#connection.send({ method: "PUT", name: this.#name, query, body });
    const { etag } = headers;
    if (typeof etag !== "string")
      throw new Fault("corrupt", { message: "the S3 server sends no ETag of a part" });
    this.#tags[part] = etag;
  }

  async #begin(): Promise<string> {
    const { body } = await this.#connection.send({
      method: "POST",
      name: this.#name,
      query: { uploads: "" },
      headers: this.#connection.settings.encryption,
    });
    const id = elementOf(new TextDecoder().decode(body), "UploadId");
    if (id === undefined || id === "")
      throw new Fault("corrupt", { message: "the S3 server sends no id of an upload" });
    return id;
  }

  async #complete(): Promise<void> {
    const { status, isRepeated } = await this.#connection.send({
      method: "POST",
      name: this.#name,
      query: { uploadId: this.#id! },
      headers: { "if-none-match": "*", "content-type": "application/xml" },
      body: bodyOf(new TextEncoder().encode(completion(this.#tags))),
      accepted: [conditionFailed, 404],
    });
    if (status === conditionFailed) return await this.abandon();
    if (status !== 404) return;
    // An earlier attempt may have completed it, and its answer was lost.
    if (isRepeated && (await sizeOf(this.#connection, this.#name)) === this.#bytes) return;
    throw new Fault("unavailable", { message: `the upload of ${this.#name} was removed while it was sent` });
  }
}
