/** Decodes header blocks of one connection to the headers of requests, and checks them. */
import type { IncomingHttpHeaders } from "node:http2";
import { HpackDecoder } from "./hpack/hpack-decoder.ts";
import { areTrailers, requestHeaders } from "./request-headers.ts";

/** A block and the headers that it stands for while the table has this generation. */
interface KnownBlock {
  readonly block: Buffer;
  readonly generation: number;
  readonly headers: IncomingHttpHeaders;
}

export class RequestDecoder {
  readonly #hpack: HpackDecoder;
  /** The last valid block that did not change the table. Most requests of a connection repeat it. */
  #known: KnownBlock | undefined;

  constructor(headerListBytesMax: number) {
    this.#hpack = new HpackDecoder(headerListBytesMax);
  }

  /**
   * Returns the headers of a request, or why there are none.
   * @throws CompressionError
   */
  request(block: Buffer): IncomingHttpHeaders | "malformed" | "too-large" {
    const known = this.#known;
    const { generation } = this.#hpack;
    if (known !== undefined && known.generation === generation && known.block.equals(block)) {
      return known.headers;
    }
    const fields = this.#hpack.decode(block);
    if (fields === undefined) return "too-large";
    const headers = requestHeaders(fields);
    if (headers === undefined) return "malformed";
    if (generation === this.#hpack.generation) {
      this.#known = { block: Buffer.from(block), generation, headers };
    }
    return headers;
  }

  /**
   * True if the block holds valid trailers. Their fields are dropped, because no method reads any.
   * @throws CompressionError
   */
  trailers(block: Buffer): boolean {
    const fields = this.#hpack.decode(block);
    return fields !== undefined && areTrailers(fields);
  }
}
