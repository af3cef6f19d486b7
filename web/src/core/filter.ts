/**
 * The filter of the tail: a substring, a regular expression or a JSON path, applied to every record. It runs in a worker,
 * because a regular expression may not end and only a worker can be terminated.
 *
 * A match has marks in the row's line. A record may match outside its line (in a long value, a key, a header); then it
 * has no marks.
 */
import type { FormatChoice } from "./decode.ts";
import { detect, lenientText, parseJson, parseMsgpack, preview } from "./decode.ts";
import { matchesPath, type PathQuery, parsePathQuery } from "./json-path.ts";
import { readRecord } from "./wire.ts";

export type FilterMode = "text" | "regex" | "path";

export interface FilterSpec {
  readonly mode: FilterMode;
  readonly query: string;
  /** How the rows are shown: marks are places in that line. */
  readonly format: FormatChoice;
}

/** Pairs of start and end in the row's line, ascending, at most this many. */
export type Marks = readonly (readonly [number, number])[];
const marksMax = 20;

export type Filter = (record: Uint8Array) => Marks | undefined;

/** A filter, or a sentence saying what is wrong with the query. An empty query is for the caller to leave out. */
export function compileFilter(spec: FilterSpec): Filter | string {
  if (spec.mode === "path") {
    const query = parsePathQuery(spec.query);
    return typeof query === "string" ? query : pathFilter(query);
  }
  const pattern = spec.mode === "regex" ? compileRegex(spec.query) : literalRegex(spec.query);
  return typeof pattern === "string" ? pattern : textFilter(pattern, spec.format);
}

/** The places of a text in the line of a row. */
export function lineMarks(query: string, format: FormatChoice): (record: Uint8Array) => Marks {
  const pattern = literalRegex(query);
  return (record) => marksIn(preview(readRecord(record).value, format), pattern);
}

/** `/body/flags` or a bare body; smart case: a query in lower case ignores case. */
function compileRegex(query: string): RegExp | string {
  const slashed = /^\/(.+)\/([imsu]*)$/.exec(query);
  const [body, flags] =
    slashed === null ? [query, smartCase(query)] : [slashed[1] as string, slashed[2] as string];
  try {
    return new RegExp(body, `${flags}g`);
  } catch (error) {
    return (error as Error).message.replace(/^Invalid regular expression: /, "");
  }
}

const literalRegex = (query: string): RegExp =>
  new RegExp(query.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), `g${smartCase(query)}`);

const smartCase = (query: string): string => (query === query.toLowerCase() ? "i" : "");

function textFilter(pattern: RegExp, format: FormatChoice): Filter {
  const found = (text: string): boolean => {
    pattern.lastIndex = 0;
    return pattern.test(text);
  };
  return (record) => {
    const view = readRecord(record);
    const line = preview(view.value, format);
    const marks = marksIn(line, pattern);
    if (marks.length > 0) return marks;
    const hit =
      found(lenientText(view.value)) ||
      (view.key.length > 0 && found(lenientText(view.key))) ||
      view.headers.some((header) => found(header.key) || found(lenientText(header.value)));
    return hit ? marks : undefined;
  };
}

/** Where the pattern is found in the line. */
function marksIn(line: string, pattern: RegExp): Marks {
  const marks: [number, number][] = [];
  pattern.lastIndex = 0;
  for (let hit = pattern.exec(line); hit !== null && marks.length < marksMax; hit = pattern.exec(line)) {
    if (hit[0].length === 0) pattern.lastIndex++;
    else marks.push([hit.index, hit.index + hit[0].length]);
  }
  return marks;
}

function pathFilter(query: PathQuery): Filter {
  return (record) => {
    const { value } = readRecord(record);
    const parsed = detect(value) === "msgpack" ? parseMsgpack(value) : parseJson(value);
    return parsed.ok && matchesPath(parsed.value, query) ? [] : undefined;
  };
}
