/**
 * A search of the whole log, which the server evaluates: the text of the user becomes a condition in CEL. Pure.
 *
 *   text     contained in the value or the key; in lower case it ignores case, as the filter of the tab does
 *   key      the beginning of the key
 *   header   name, or name=value
 *   regex    /body/flags or a bare body, in the syntax of RE2, found in the value or the key
 *   cel      the condition itself
 */
export const searchKinds = ["text", "key", "header", "regex", "cel"] as const;
export type SearchKind = (typeof searchKinds)[number];

/** A longer text is searched as it is written, because the server limits regular expressions to 500 characters. */
const foldedLengthMax = 200;

/** Returns the condition for a query that is not empty. */
export function conditionOf(kind: SearchKind, query: string): string {
  switch (kind) {
    case "text":
      return ignoresCase(query) && query.length <= foldedLengthMax
        ? matches(`(?i)${query.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&")}`)
        : `text.contains(${literal(query)}) || key.contains(${literal(query)})`;
    case "key":
      return `key.startsWith(${literal(query)})`;
    case "header":
      return headerCondition(query);
    case "regex":
      return matches(regexOf(query));
    case "cel":
      return query;
  }
}

/** The text that is marked in the rows, if the condition is a text. */
export const markedText = (kind: SearchKind, query: string): string | undefined =>
  kind === "text" ? query : undefined;

const matches = (pattern: string): string =>
  `text.matches(${literal(pattern)}) || key.matches(${literal(pattern)})`;

/** A text without letters is the same in both cases, and a search for it as it is costs the server less. */
const ignoresCase = (text: string): boolean => text === text.toLowerCase() && text !== text.toUpperCase();

/** A literal of CEL. It has the escapes of JSON. */
const literal = (text: string): string => JSON.stringify(text.toWellFormed());

function headerCondition(query: string): string {
  const [, name = query, value] = /^([^=:]+)[=:](.*)$/s.exec(query) ?? [];
  const header = literal(name.trim());
  return value === undefined ? `${header} in headers` : `headers[${header}] == ${literal(value.trim())}`;
}

function regexOf(query: string): string {
  const [, body, flags = ""] = /^\/(.+)\/([imsu]*)$/s.exec(query) ?? [];
  if (body === undefined) return ignoresCase(query) ? `(?i)${query}` : query;
  const known = flags.replaceAll("u", "");
  return known === "" ? body : `(?${known})${body}`;
}

/** A condition around the place of an error, to be shown with a mark on it. */
export interface ErrorPlace {
  readonly before: string;
  /** The character at the place. Empty at the end. */
  readonly at: string;
  readonly after: string;
}

const contextLength = 60;

/** `character`: how many characters come before the place. */
export function errorPlace(condition: string, character: number): ErrorPlace {
  const at = Math.min(character, condition.length);
  const [one = ""] = condition.slice(at, at + 2);
  const from = at > contextLength ? at - contextLength : 0;
  const rest = condition.slice(at + one.length);
  return {
    before: `${from > 0 ? "…" : ""}${condition.slice(from, at)}`,
    at: one,
    after: rest.length > contextLength ? `${rest.slice(0, contextLength)}…` : rest,
  };
}
