/**
 * A small `Headers` for client commands. The one of Node.js loads all of its `fetch`, which takes a third of the time that a
 * command needs until it sends its request. It behaves as https://fetch.spec.whatwg.org/#headers-class says, without guards.
 */
const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const outerSpace = /^[\t\n\r ]+|[\t\n\r ]+$/g;

type Init = Iterable<readonly [string, string]> | Readonly<Record<string, string>>;

export class LightHeaders implements Iterable<[string, string]> {
  readonly #values = new Map<string, string[]>();

  /** @throws TypeError for a name that is not a token, or a value with NUL, CR, LF or a character above U+00FF */
  constructor(init?: Init) {
    if (init === undefined) return;
    for (const [name, value] of Symbol.iterator in init ? init : Object.entries(init))
      this.append(name, value);
  }

  append(name: string, value: string): void {
    const key = checkedKey(name);
    const values = this.#values.get(key);
    if (values === undefined) this.#values.set(key, [checkedValue(name, value)]);
    else values.push(checkedValue(name, value));
  }

  set(name: string, value: string): void {
    this.#values.set(checkedKey(name), [checkedValue(name, value)]);
  }

  delete(name: string): void {
    this.#values.delete(checkedKey(name));
  }

  has(name: string): boolean {
    return this.#values.has(checkedKey(name));
  }

  get(name: string): string | null {
    return this.#values.get(checkedKey(name))?.join(", ") ?? null;
  }

  getSetCookie(): string[] {
    return [...(this.#values.get("set-cookie") ?? [])];
  }

  forEach(work: (value: string, name: string, headers: LightHeaders) => void): void {
    for (const [name, value] of this) work(value, name, this);
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this) yield value;
  }

  entries(): IterableIterator<[string, string]> {
    return this[Symbol.iterator]();
  }

  /** In the order of the names. Values of one name are joined, except those of set-cookie. */
  *[Symbol.iterator](): IterableIterator<[string, string]> {
    const sorted = [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, values] of sorted) {
      if (name === "set-cookie") for (const value of values) yield [name, value];
      else yield [name, values.join(", ")];
    }
  }
}

function checkedKey(name: string): string {
  if (!tokenPattern.test(name)) throw new TypeError(`${JSON.stringify(name)} is not a header name`);
  return name.toLowerCase();
}

function checkedValue(name: string, value: string): string {
  const trimmed = String(value).replace(outerSpace, "");
  if (/[\0\r\n]|[^\0-\xff]/.test(trimmed))
    throw new TypeError(`the value of the header ${name} is not valid`);
  return trimmed;
}

/** Replaces the global `Headers` of this process. It is assigned, because `Object.defineProperty` reads, so loads, the old one. */
export function useLightHeaders(): void {
  Reflect.set(globalThis, "Headers", LightHeaders);
}
