/**
 * The scopes of a token: what of the rights of its subject the token may use. They only narrow. Pure.
 *
 *   scopes  := scope *( " " scope )
 *   scope   := "logs=" object *( "," object ) ":" action *( "," action )       logs=orders/*:produce,consume
 *   object  := as in a policy (log-match.ts), with percent-encoding for space, comma, colon and percent
 *
 * `*` is every log, and the object of requests about `default` and about the cluster.
 */
import { Fault } from "../../fault.ts";
import { compareNames } from "../../lib/names/name-order.ts";
import { type Action, actions, isAction, type TokenScopes } from "../identity.ts";
import { isLogPattern, logMatch } from "../log-match.ts";
import { unionOf } from "../name-patterns.ts";

interface Scope {
  readonly objects: readonly string[];
  readonly actions: ReadonlySet<Action>;
}

/** Longest text of scopes, in characters. */
const scopesCharsMax = 4_096;
/** Objects of all scopes together. */
const objectsMax = 128;
/** Patterns that are sorted in one turn of the event loop. */
const sortedMax = 2_048;

export class Scopes implements TokenScopes {
  readonly text: string;
  readonly #scopes: readonly Scope[];

  private constructor(text: string, scopes: readonly Scope[]) {
    this.text = text;
    this.#scopes = scopes;
  }

  /** Parses scopes. An empty text allows nothing. @throws Fault "bad-request" that quotes the scope that is wrong */
  static parse(text: string): Scopes {
    if (text.length > scopesCharsMax)
      throw wrong(`scopes have at most ${scopesCharsMax} characters, these have ${text.length}`);
    const scopes = text.split(" ").flatMap((part) => (part === "" ? [] : [scopeOf(part)]));
    const objects = scopes.reduce((sum, scope) => sum + scope.objects.length, 0);
    if (objects > objectsMax)
      throw wrong(`scopes name at most ${objectsMax} logs and prefixes, these name ${objects}`);
    return new Scopes(text, scopes);
  }

  /** Returns whether the scopes allow the action on `object`, a log's name or `*`. */
  allows(object: string, action: Action): boolean {
    for (const { objects, actions } of this.#scopes)
      if (actions.has(action) && objects.some((pattern) => logMatch(object, pattern))) return true;
    return false;
  }

  /** Returns false if there is no object on which the scopes allow the action. */
  allowsSome(action: Action): boolean {
    return this.#scopes.some(({ actions }) => actions.has(action));
  }

  /**
   * Returns what the scopes leave of `patterns`, a list as of AccessControl.patternsOf(). Undefined: too many to say, each log
   * must be asked about.
   */
  narrow(patterns: readonly string[], action: Action): readonly string[] | undefined {
    const lists = this.#scopes
      .filter(({ actions }) => actions.has(action))
      .flatMap(({ objects }) => objects.map((object) => commonPatterns(patterns, object)))
      .filter((list) => list.length > 0);
    if (lists.length === 0) return [];
    const total = lists.reduce((sum, list) => sum + list.length, 0);
    return lists.length > 1 && total > sortedMax ? undefined : unionOf(lists);
  }
}

function scopeOf(text: string): Scope {
  const [, objects, actions] = /^logs=([^:]+):([a-z,]+)$/.exec(text) ?? [];
  if (objects === undefined || actions === undefined)
    throw wrong(`"${text}" is not a scope, expected logs=NAME,PREFIX*:ACTION,ACTION`);
  return {
    objects: objects.split(",").map((object) => objectOf(object, text)),
    actions: new Set(actions.split(",").map((action) => actionOf(action, text))),
  };
}

function objectOf(encoded: string, scope: string): string {
  let object: string;
  try {
    object = decodeURIComponent(encoded);
  } catch {
    throw wrong(`"${encoded}" in the scope "${scope}" is not percent-encoded UTF-8`);
  }
  if (object === "" || !isLogPattern(object))
    throw wrong(
      `"${object}" in the scope "${scope}" is neither the name of a log nor a prefix with one * at its end`,
    );
  return object;
}

function actionOf(action: string, scope: string): Action {
  if (isAction(action) && action !== "peer") return action;
  const known = actions.filter((each) => each !== "peer").join(", ");
  throw wrong(`"${action}" in the scope "${scope}" is not an action that a token can have, only ${known}`);
}

/** What one object of a scope has in common with a sorted list of which no pattern covers another one. */
export function commonPatterns(patterns: readonly string[], object: string): readonly string[] {
  const start = startOf(object);
  const from = firstFrom(patterns, start);
  // Only the last pattern that begins before it, or with it, can cover it.
  for (const pattern of [patterns[from - 1], patterns[from]])
    if (
      pattern !== undefined &&
      (pattern === object || (pattern.endsWith("*") && start.startsWith(startOf(pattern))))
    )
      return [object];
  if (!object.endsWith("*")) return [];
  let to = from;
  while (to < patterns.length && patterns[to]!.startsWith(start)) to++;
  return patterns.slice(from, to);
}

const startOf = (pattern: string): string => (pattern.endsWith("*") ? pattern.slice(0, -1) : pattern);

/** The position of the first pattern that does not begin before `start`. */
function firstFrom(patterns: readonly string[], start: string): number {
  let [low, high] = [0, patterns.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareNames(startOf(patterns[middle]!), start) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

const wrong = (message: string): Fault => new Fault("bad-request", { message, facts: { field: "scope" } });
