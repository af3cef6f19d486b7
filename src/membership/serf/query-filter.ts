/**
 * The filters of a query: `00` and a list of names, or `01` and {Tag, Expr} with a regular expression on a tag's value.
 * A member responds if it passes every filter. Expressions from the wire are matched by tag-expression.ts, never by a
 * backtracking engine.
 */
import { Fault } from "../../fault.ts";
import { Fields, MsgpackReader, malformed, utf8, type Value } from "../codec/msgpack-reader.ts";
import { MsgpackWriter } from "../codec/msgpack-writer.ts";
import { compileTagExpression } from "./tag-expression.ts";
import type { Tags } from "./tags.ts";

export type QueryFilter =
  | { readonly kind: "nodes"; readonly names: readonly string[] }
  | { readonly kind: "tag"; readonly tag: string; readonly expression: string };

/** Which members are asked. */
export interface QueryTarget {
  /** Names of members. Empty or absent: all. */
  readonly nodes?: readonly string[];
  /** Tag name → regular expression (see tag-expression.ts) that the tag's value must match. */
  readonly tags?: Readonly<Record<string, string>>;
}

const filtersMax = 16;
const namesMax = 128;

/** @throws Fault "bad-request" for an expression that is malformed or not supported */
export function filtersOf({ nodes, tags }: QueryTarget): QueryFilter[] {
  const filters: QueryFilter[] = [];
  if (nodes !== undefined && nodes.length > 0) filters.push({ kind: "nodes", names: nodes });
  for (const [tag, expression] of Object.entries(tags ?? {})) {
    if (compileTagExpression(expression) === undefined) {
      throw new Fault("bad-request", {
        message: "a tag filter is not an expression that is supported",
        facts: { tag, expression },
      });
    }
    filters.push({ kind: "tag", tag, expression });
  }
  return filters;
}

/** Returns whether a member passes all filters. It passes no filter whose expression is not supported. */
export function passesFilters(filters: readonly QueryFilter[], name: string, tags: Tags): boolean {
  return filters.every((filter) => {
    if (filter.kind === "nodes") return filter.names.includes(name);
    return compileTagExpression(filter.expression)?.(tagValue(tags, filter.tag)) === true;
  });
}

/** Only own properties are tags: a filter from the wire may name "constructor". */
function tagValue(tags: Tags, tag: string): string {
  return Object.hasOwn(tags, tag) ? (tags[tag] ?? "") : "";
}

/** @throws Fault "bad-request" */
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
  throw malformed("a filter is of an unknown type");
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
