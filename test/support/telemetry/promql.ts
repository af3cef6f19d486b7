/** Finds the metrics and labels in PromQL expressions and in the text of `GET /metrics`, for tests of deploy/. */

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  /** Without its quotes. */
  readonly value: string;
}

export interface Query {
  readonly selectors: readonly { readonly metric: string; readonly matchers: readonly Matcher[] }[];
  /** The labels in by (…), on (…) and the like. */
  readonly grouped: readonly string[];
  /** Other words: functions and operators. */
  readonly words: readonly string[];
}

const groups = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const selectors =
  /\b((?:tailrace|process|rpc|http|nodejs|v8js|target)_\w+|tailrace|up\b)(?:\s*\{([^}]*)\})?/g;
const matcher = /([a-z_]+)\s*(=~|!~|!=|=)\s*["']([^"']*)["']/g;

/** The parts of an expression. It is not a parser: promtool checks the syntax. */
export function queryOf(expression: string): Query {
  const rest = expression.replace(groups, " ");
  const found = [...rest.matchAll(selectors)].map(([, metric = "", matchers = ""]) => ({
    metric,
    matchers: [...matchers.matchAll(matcher)].map(([, label = "", operator = "", value = ""]) => ({
      label,
      operator,
      value,
    })),
  }));
  return {
    selectors: found,
    grouped: [...expression.matchAll(groups)].flatMap(([, labels = ""]) =>
      labels.split(/[\s,]+/).filter(Boolean),
    ),
    words:
      rest
        .replace(selectors, " ")
        .replace(/\[[^\]]*\]/g, " ")
        .match(/[a-zA-Z_]\w{2,}/g) ?? [],
  };
}

/** Metric → label → its values. */
export type Exported = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

/** The series of several nodes, from the text of their `GET /metrics`. */
export function exportedBy(texts: readonly string[]): Exported {
  const all = new Map<string, Map<string, Set<string>>>();
  for (const line of texts.flatMap((text) => text.split("\n"))) {
    const [, name, labels = ""] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const known = all.get(name) ?? new Map<string, Set<string>>();
    all.set(name, known);
    for (const [, label = "", value = ""] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      known.set(label, (known.get(label) ?? new Set()).add(value));
  }
  return all;
}
