/**
 * Whom a query is for: `00` and a list of names, or `01` and {Tag, Expr} with a regular expression on a tag's value.
 * A member answers when it passes every filter.
 *
 * Never: hands an expression from the wire to a backtracking engine (see tag-expression.ts).
 */
import { Fields, MsgpackReader, malformed, utf8, type Value } from "../codec/msgpack-reader.ts";
import { MsgpackWriter } from "../codec/msgpack-writer.ts";

export type QueryFilter =
  | { readonly kind: "nodes"; readonly names: readonly string[] }
  | { readonly kind: "tag"; readonly tag: string; readonly expression: string };

const filtersMax = 16;
const namesMax = 128;

/** Throws Fault "bad-request". */
export function decodeFilters(list: readonly Value[]): QueryFilter[] {
  if (list.length > filtersMax) throw malformed("a query has too many filters");
  return list.map((item) => {
    if (!Buffer.isBuffer(item)) throw malformed("a filter is not bytes");
    return decodeFilter(item);
  });
}

function decodeFilter(bytes: Buffer): QueryFilter {
  const value = new MsgpackReader(bytes, 1).value();
  if (bytes[0] === 0 && Array.isArray(value) && value.length <= namesMax) {
    return { kind: "nodes", names: (value as readonly Value[]).map(nameOf) };
  }
  if (bytes[0] === 1 && value instanceof Fields) {
    return { kind: "tag", tag: value.text("Tag"), expression: value.text("Expr") };
  }
  throw malformed("a filter is of no known type");
}

function nameOf(value: Value): string {
  if (!Buffer.isBuffer(value)) throw malformed("a name is not text");
  return utf8(value, "a name");
}

export function encodeFilter(filter: QueryFilter): Buffer {
  const writer = new MsgpackWriter();
  if (filter.kind === "nodes") {
    writer.byte(0).array(filter.names.length);
    for (const name of filter.names) writer.text(name);
    return writer.finish();
  }
  return writer.byte(1).map(2).text("Expr").text(filter.expression).text("Tag").text(filter.tag).finish();
}
