/** A store of objects in a bucket of S3, or of a server that speaks its protocol. */
import { Fault } from "../../fault.ts";
import {
  checkKey,
  isValidKey,
  type ObjectEntry,
  type ObjectStore,
  type ObjectWriter,
  type WriteCondition,
  type WriteGuard,
} from "../object-store.ts";
import type { S3Connection, S3Result } from "./s3-connection.ts";
import { bodyOf, S3Upload, sizeOf } from "./s3-upload.ts";
import { readObjects, readUploads } from "./s3-xml.ts";
import { UploadMemory } from "./upload-memory.ts";

/** Of a request with a condition that does not hold. */
const conditionFailed = 412;
/** At most a million objects: who lists them keeps their names in memory. */
const pagesMax = 1_000;
/** A second round sees uploads that the first page had no room for. */
const uploadRoundsMax = 100;

export class S3Store implements ObjectStore {
  readonly url: string;
  readonly #connection: S3Connection;
  readonly #prefix: string;
  readonly #pageMax: number;
  readonly #memory: UploadMemory;

  /** `pageMax`: objects of one page of a list, at most 1000. */
  constructor(
    url: string,
    connection: S3Connection,
    prefix: string,
    pageMax = 1000,
    memory: UploadMemory = new UploadMemory(),
  ) {
    [this.url, this.#connection, this.#prefix, this.#pageMax] = [url, connection, prefix, pageMax];
    this.#memory = memory;
  }

  async put(
    key: string,
    data: Uint8Array,
    condition?: WriteCondition,
    guard?: WriteGuard,
  ): Promise<string | undefined> {
    const { status, headers } = await this.#connection.send({
      method: "PUT",
      name: this.#nameOf(key),
      headers: { ...this.#connection.settings.encryption, ...headersOf(condition) },
      body: bodyOf(data),
      accepted: condition === undefined ? [] : [conditionFailed, 404],
      guard,
    });
    // 404: the object of the tag was deleted.
    return status === conditionFailed || status === 404 ? undefined : tagOf(headers);
  }

  create(key: string, bytes: number): ObjectWriter {
    return new S3Upload(this.#connection, this.#memory, this.#nameOf(key), bytes);
  }

  async size(key: string): Promise<number | undefined> {
    return await sizeOf(this.#connection, this.#nameOf(key));
  }

  async read(key: string, position: number, bytes: number): Promise<Uint8Array | undefined> {
    if (bytes === 0) return new Uint8Array(0);
    const range = `bytes=${position}-${position + bytes - 1}`;
    const found = await this.#get(key, { range }, bytes, [404, 416]);
    if (found.status === 404) return undefined;
    if (found.status === 416) return new Uint8Array(0);
    // A server may send a whole object that is no larger than the range.
    const isRange = found.status === 206 || position === 0;
    const start = /^bytes (\d+)-/.exec(String(found.headers["content-range"]))?.[1];
    if (isRange && (start === undefined || Number(start) === position)) return found.body;
    throw new Fault("corrupt", { message: `the S3 server sends another part of ${key} than was asked for` });
  }

  async readWhole(
    key: string,
    bytesMax: number,
  ): Promise<{ readonly data: Uint8Array; readonly tag: string } | undefined> {
    const found = await this.#get(key, {}, bytesMax, [404]);
    if (found.status === 404) return undefined;
    if (found.body.length <= bytesMax) return { data: found.body, tag: tagOf(found.headers) };
    throw new Fault("corrupt", { message: `${this.url}/${key} is larger than ${bytesMax} bytes` });
  }

  async *list(prefix: string): AsyncIterable<ObjectEntry> {
    let token: string | undefined;
    for (let page = 0; page < pagesMax; page++) {
      const { body, headers } = await this.#connection.send({
        method: "GET",
        name: "",
        query: {
          ...{ "list-type": "2", "encoding-type": "url", "max-keys": String(this.#pageMax) },
          prefix: this.#prefix + prefix,
          ...(token === undefined ? {} : { "continuation-token": token }),
        },
      });
      const { objects, next } = readObjects(new TextDecoder().decode(body));
      if (objects.length > this.#pageMax)
        throw new Fault("corrupt", {
          message: `${this.url}: the S3 server lists ${objects.length} objects at a time, and was asked for at most ${this.#pageMax}`,
        });
      const nowMs = Date.parse(String(headers["date"]));
      for (const { name, bytes, modifiedMs } of objects) {
        const key = name.slice(this.#prefix.length);
        if (!name.startsWith(this.#prefix + prefix) || !isValidKey(key)) continue;
        yield { key, bytes, ageMs: Number.isNaN(nowMs) ? 0 : Math.max(0, nowMs - modifiedMs) };
      }
      if (next === undefined) return;
      if (next === token) break;
      token = next;
    }
    throw new Fault("corrupt", {
      message: `${this.url}: the list of objects does not end, or is longer than ${pagesMax} pages of ${this.#pageMax}`,
    });
  }

  async delete(key: string, guard?: WriteGuard): Promise<void> {
    await this.#connection.send({ method: "DELETE", name: this.#nameOf(key), accepted: [404], guard });
  }

  async removeUnfinished(): Promise<number> {
    let removed = 0;
    for (let round = 0; round < uploadRoundsMax; round++) {
      const { body } = await this.#connection.send({
        method: "GET",
        name: "",
        query: {
          uploads: "",
          "encoding-type": "url",
          "max-uploads": String(this.#pageMax),
          prefix: this.#prefix,
        },
      });
      const { uploads, isCut } = readUploads(new TextDecoder().decode(body));
      const own = uploads.filter(
        ({ name }) => name.startsWith(this.#prefix) && isValidKey(name.slice(this.#prefix.length)),
      );
      for (const { name, id: uploadId } of own) {
        const query = { uploadId };
        const { status } = await this.#connection.send({ method: "DELETE", name, query, accepted: [404] });
        // A list can name uploads that are gone.
        if (status !== 404) removed++;
      }
      if (!isCut || own.length === 0) break;
    }
    return removed;
  }

  #get(
    key: string,
    headers: Readonly<Record<string, string>>,
    answerBytesMax: number,
    accepted: readonly number[],
  ): Promise<S3Result> {
    // An error in XML may be larger than the object.
    const bytesMax = Math.max(answerBytesMax, 64 * 1024);
    return this.#connection.send({
      method: "GET",
      name: this.#nameOf(key),
      headers,
      accepted,
      answerBytesMax: bytesMax,
    });
  }

  #nameOf(key: string): string {
    return this.#prefix + checkKey(key);
  }
}

function headersOf(condition: WriteCondition | undefined): Record<string, string> {
  if (condition === undefined) return {};
  return "ifAbsent" in condition ? { "if-none-match": "*" } : { "if-match": condition.ifTag };
}

function tagOf({ etag }: S3Result["headers"]): string {
  if (typeof etag === "string" && etag !== "") return etag;
  throw new Fault("corrupt", { message: "the S3 server sends no ETag" });
}
