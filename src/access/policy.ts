/**
 * The lines of a policy file, read strictly: Casbin itself passes over what it does not understand, and a rule
 * that silently does not count is a hole or a riddle.
 *
 *   line := ptype "," field ("," field)* | "#" comment | blank
 *
 * Never: decides, touches a file.
 */
import { Fault } from "../fault.ts";
import { actions, isAction } from "./identity.ts";

export interface PolicyLine {
  /** `p`, `g`, `p2`, … */
  readonly kind: string;
  readonly fields: readonly string[];
  /** From 1. */
  readonly line: number;
}

/** What a model says of a kind of line. */
export interface LineShape {
  readonly fields: number;
  /** Which field is the action, if one is. */
  readonly action?: number | undefined;
  /** The action is compared as it stands, so it must be one there is, or `*`. */
  readonly strict?: boolean;
}

/** What a model defines: kind of line → what it takes. */
export type Shape = ReadonlyMap<string, LineShape>;

/**
 * The lines of `text`. Throws Fault "config" naming the line for a kind the model lacks, a wrong number of fields, a
 * quote without its end, or an action that nothing asks for.
 */
export function parsePolicy(text: string, shape: Shape, name = "policy"): PolicyLine[] {
  const lines: PolicyLine[] = [];
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const trimmed = raw.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const wrong = (why: string): Fault =>
      new Fault("config", {
        message: `${name} line ${at + 1} ${why}`,
        facts: { line: at + 1, text: trimmed },
      });
    const split = splitFields(trimmed);
    if (split === undefined) throw wrong("has a quote that stands alone or inside a field");
    const [kind = "", ...fields] = split;
    const expected = shape.get(kind);
    if (expected === undefined) {
      throw wrong(`begins with "${kind}", expected one of ${[...shape.keys()].join(" or ")}`);
    }
    if (fields.length !== expected.fields || fields.includes("")) {
      throw wrong(`has ${fields.filter((field) => field !== "").length} fields, expected ${expected.fields}`);
    }
    const action = expected.strict ? fields[expected.action ?? -1] : undefined;
    if (action !== undefined && action !== "*" && !isAction(action)) {
      throw wrong(`names the action "${action}", expected ${actions.join(", ")} or *`);
    }
    lines.push({ kind, fields, line: at + 1 });
  }
  return lines;
}

/** Commas part fields unless inside double quotes; a doubled quote inside quotes is one. Undefined: stray quotes. */
function splitFields(line: string): string[] | undefined {
  const fields: string[] = [];
  for (const [, field = ""] of `${line},`.matchAll(/\s*("(?:[^"]|"")*"|[^,]*?)\s*,/g)) {
    const quoted = /^"((?:[^"]|"")*)"$/.exec(field);
    if (quoted === null && field.includes('"')) return undefined;
    fields.push(quoted === null ? field : (quoted[1] ?? "").replaceAll('""', '"').trim());
  }
  return fields;
}

/** The line as one would write it: `p, root, *, produce`. */
export const lineText = (line: PolicyLine): string => [line.kind, ...line.fields].join(", ");

/** Does any rule name the action `peer`? Then certificates alone make nobody a peer. */
export const speaksOfPeer = (lines: readonly PolicyLine[], shape: Shape): boolean =>
  lines.some(({ kind, fields }) => {
    const action = shape.get(kind)?.action;
    return (
      kind.startsWith("p") && (action === undefined ? fields.includes("peer") : fields[action] === "peer")
    );
  });
