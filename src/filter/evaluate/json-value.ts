/**
 * JSON as values of CEL. Numbers are doubles, as in the JSON mapping of CEL. Members become values when they are read: most
 * expressions read one or two.
 */
import { type CelInput, celMap } from "@bufbuild/cel";
import { listOf } from "./lists.ts";
import { meter } from "./work-meter.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Value = CelInput;

/** A shorter text is parsed without looking at its structure. */
const simpleTextMax = 4 * 1024;
/** JSON.parse takes up to 0.4 µs for an empty array, and 1 µs for a member of a large object: its comma and its colon count. */
const structureUnits = 40;

/**
 * Parses a text.
 * @throws SyntaxError; the error of the meter
 */
export function parseJson(text: string): Value {
  meter.charge(20 + text.length / 4);
  if (text.length > simpleTextMax) {
    let structure = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === openArray || code === openObject || code === comma || code === colon) structure++;
    }
    meter.charge(structure * structureUnits);
  }
  return celOf(JSON.parse(text) as Json);
}

const [openArray, openObject, comma, colon] = [0x5b, 0x7b, 0x2c, 0x3a];

function celOf(json: Json): Value {
  if (typeof json !== "object" || json === null) return json;
  if (!Array.isArray(json)) return celMap(new JsonMembers(json));
  meter.charge(10 + json.length * 4);
  return listOf(json.map(celOf));
}

/** The members of an object. It never has a key that is not a text. */
class JsonMembers implements ReadonlyMap<string, Value> {
  readonly #members: { [name: string]: Json };
  readonly #values = new Map<string, Value>();
  #names: readonly string[] | undefined;

  constructor(members: { [name: string]: Json }) {
    this.#members = members;
  }

  get size(): number {
    return this.#allNames().length;
  }

  get(name: string): Value | undefined {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    if (typeof name !== "string" || !Object.hasOwn(this.#members, name)) return undefined;
    const value = celOf(this.#members[name]!);
    this.#values.set(name, value);
    return value;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#members, name);
  }

  keys(): MapIterator<string> {
    const names = this.#allNames();
    meter.charge(names.length);
    return names.values() as MapIterator<string>;
  }

  *entries(): MapIterator<[string, Value]> {
    for (const name of this.keys()) yield [name, this.get(name)!];
  }

  *values(): MapIterator<Value> {
    for (const name of this.keys()) yield this.get(name)!;
  }

  forEach(each: (value: Value, name: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [name, value] of this.entries()) each(value, name, this);
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  #allNames(): readonly string[] {
    if (this.#names === undefined) {
      this.#names = Object.keys(this.#members);
      meter.charge(this.#names.length * 4);
    }
    return this.#names;
  }
}
