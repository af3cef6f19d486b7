/**
 * The variables of an expression, of one record after the other. Each is decoded when the expression reads it, at most once.
 * Bytes that are not UTF-8 become U+FFFD in texts.
 */
import { type CelError, type CelInput, celError, celMap } from "@bufbuild/cel";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { decodeRecord, type RecordCursor } from "../../log/mod.ts";
import type { RecordParts } from "../../types.ts";
import { parseJson } from "./json-value.ts";
import { meter } from "./work-meter.ts";

/** What an expression can name. */
export const variableNames = ["key", "headers", "value", "json", "text", "offset", "time"] as const;
type VariableName = (typeof variableNames)[number];

export type Variables = { readonly [Name in VariableName]: CelInput | CelError };

const notJson = celError("the value is not JSON");
const emptyMap = celMap(new Map<string, string>());

/** Bytes decoded for one unit. */
const decodedBytes = 16;

function textOf(bytes: Uint8Array): string {
  meter.charge(5 + bytes.length / decodedBytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

export class RecordVariables implements Variables {
  #cursor: RecordCursor | undefined;
  #parts: RecordParts | undefined;
  #text: string | undefined;
  #json: CelInput | CelError | undefined;
  #headers: CelInput | undefined;

  /** The record at the cursor is the one. */
  begin(cursor: RecordCursor): void {
    this.#cursor = cursor;
    this.end();
  }

  /** Forgets what was decoded. */
  end(): void {
    this.#parts = undefined;
    this.#text = undefined;
    this.#json = undefined;
    this.#headers = undefined;
  }

  get key(): CelInput {
    return textOf(this.#record.key);
  }

  /** Of headers with the same name, the last one counts. */
  get headers(): CelInput {
    const { headers } = this.#record;
    if (headers.length === 0) return emptyMap;
    if (this.#headers === undefined) {
      const texts = new Map<string, string>();
      for (const { key, value } of headers) texts.set(key, textOf(value));
      this.#headers = celMap(texts);
    }
    return this.#headers;
  }

  get value(): CelInput {
    return this.#record.value;
  }

  get text(): string {
    this.#text ??= textOf(this.#record.value);
    return this.#text;
  }

  get json(): CelInput | CelError {
    this.#json ??= this.#parse();
    return this.#json;
  }

  get offset(): CelInput {
    return BigInt(this.#cursor?.offset ?? 0);
  }

  get time(): CelInput {
    return timestampFromMs(this.#cursor?.timestampMs ?? 0);
  }

  get #record(): RecordParts {
    if (this.#parts === undefined) {
      const { frames, start, end } = this.#cursor!;
      this.#parts = decodeRecord(frames, start, end);
      meter.charge(10 + 10 * this.#parts.headers.length);
    }
    return this.#parts;
  }

  #parse(): CelInput | CelError {
    try {
      return parseJson(this.text);
    } catch (reason) {
      if (meter.isSpent) throw reason;
      return notJson;
    }
  }
}
