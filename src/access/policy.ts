/**
 * The lines of a policy file, read strictly: Casbin itself passes over what it does not understand, and a rule
 * that silently does not count is a hole or a riddle.
 *
 *   line := ptype "," field ("," field)* | "#" comment | blank
 *
 * Never: decides, touches a file.
 */
import { Fault } from "../fault.ts";

export interface PolicyLine {
  /** `p`, `g`, `p2`, … */
  readonly kind: string;
  readonly fields: readonly string[];
  /** From 1. */
  readonly line: number;
}

/** What a model defines: kind of line → how many fields it takes. */
export type Shape = ReadonlyMap<string, number>;

/** The lines of `text`. Throws Fault "config" naming the line for a kind the model lacks or a wrong field count. */
export function parsePolicy(text: string, shape: Shape, name = "policy"): PolicyLine[] {
  const lines: PolicyLine[] = [];
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const trimmed = raw.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const [kind = "", ...fields] = splitFields(trimmed);
    const wrong = (why: string): Fault =>
      new Fault("config", {
        message: `${name} line ${at + 1} ${why}`,
        facts: { line: at + 1, text: trimmed },
      });
    const expected = shape.get(kind);
    if (expected === undefined) {
      throw wrong(`begins with "${kind}", expected one of ${[...shape.keys()].join(" or ")}`);
    }
    if (fields.length !== expected || fields.includes("")) {
      throw wrong(`has ${fields.filter((field) => field !== "").length} fields, expected ${expected}`);
    }
    lines.push({ kind, fields, line: at + 1 });
  }
  return lines;
}

/** Commas part fields unless inside double quotes; a doubled quote inside quotes is one. */
function splitFields(line: string): string[] {
  return [...`${line},`.matchAll(/\s*("(?:[^"]|"")*"|[^,]*?)\s*,/g)].map(([, field = ""]) =>
    field.startsWith('"') && field.endsWith('"') && field.length > 1
      ? field.slice(1, -1).replaceAll('""', '"').trim()
      : field,
  );
}

/** The line as one would write it: `p, root, *, produce`. */
export const lineText = (line: PolicyLine): string => [line.kind, ...line.fields].join(", ");

/** Does any rule name the action `peer`? Then certificates alone make nobody a peer. */
export const speaksOfPeer = (lines: readonly PolicyLine[]): boolean =>
  lines.some(({ kind, fields }) => kind.startsWith("p") && fields.includes("peer"));
