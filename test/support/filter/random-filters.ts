/** Random records and conditions about them, and what the library of CEL says without any of our functions. */
import { type CelError, type CelInput, celEnv, celError, parse, plan } from "@bufbuild/cel";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Prng } from "../../../src/lib/prng.ts";

export interface FilteredRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array }[];
}

const keys = ["", "a", "ab", "user/1", "user/2", "ü", "\ufffd"];
const names = ["kind", "id", "ü"];
const texts = ["a", "b", "", "x\ufeffy"];
const words = ["error", "info", "a", "日本"];

/** Some keys and values are not UTF-8, and some values are not JSON. */
export function randomRecord(random: Prng): FilteredRecord {
  const headers = Array.from({ length: random.between(0, 3) }, () => ({
    key: random.pick(names),
    value: random.chance(0.1) ? Uint8Array.of(0xff, 0x61) : Buffer.from(random.pick(texts)),
  }));
  const key = random.chance(0.1)
    ? random.pick([Uint8Array.of(0x61, 0xc3), Uint8Array.of(0xc3)])
    : Buffer.from(random.pick(keys));
  return { key, headers, value: randomValue(random) };
}

function randomValue(random: Prng): Uint8Array {
  if (random.chance(0.1)) return Uint8Array.of(0xff, 0xfe, 0x61);
  if (random.chance(0.2)) return Buffer.from(`${random.pick(words)} ${random.between(0, 9)}`);
  const items = Array.from({ length: random.between(0, 4) }, () => random.between(0, 4));
  const all = {
    n: random.between(0, 9),
    level: random.pick(words),
    items,
    inner: { "a b": null, ok: random.chance(0.5) },
  };
  const members = Object.entries(all).filter(() => random.chance(0.8));
  return Buffer.from(JSON.stringify(Object.fromEntries(members)));
}

const literal = (text: string): string => JSON.stringify(text);

/** A condition that can be decided on the bytes of a record. */
export function randomByteCondition(random: Prng, depth = 3): string {
  if (depth > 0 && random.chance(0.5)) {
    const inner = (): string => randomByteCondition(random, depth - 1);
    return random.pick([
      () => `(${inner()} && ${inner()})`,
      () => `(${inner()} || ${inner()})`,
      () => `!(${inner()})`,
    ])();
  }
  const name = random.pick(names);
  const header = random.chance(0.5) && name !== "ü" ? `headers.${name}` : `headers[${literal(name)}]`;
  const order = random.pick(["<", "<=", ">", ">=", "==", "!="]);
  return random.pick([
    () => `key == ${literal(random.pick(keys))}`,
    () => `${literal(random.pick(keys))} != key`,
    () => `key.startsWith(${literal(random.pick(keys))})`,
    () => `${header} == ${literal(random.pick(texts))}`,
    () => `${literal(random.pick(texts))} != ${header}`,
    () => `${literal(name)} in headers`,
    () => "has(headers.kind)",
    () => `offset ${order} ${random.between(0, 40)}`,
    () => `${random.between(0, 40)} ${order} offset`,
    () => random.pick(["true", "false"]),
  ])();
}

/** Any condition. */
export function randomCondition(random: Prng, depth = 3): string {
  if (depth > 0 && random.chance(0.55)) {
    const inner = (): string => randomCondition(random, depth - 1);
    return random.pick([
      () => `(${inner()} && ${inner()})`,
      () => `(${inner()} || ${inner()})`,
      () => `!(${inner()})`,
      () => `(${inner()} ? ${inner()} : ${inner()})`,
      () =>
        `json.items.${random.pick(["all", "exists", "exists_one"])}(x, x > ${random.between(0, 3)}.0 || ${inner()})`,
      () => `size(json.items.filter(x, x > 1.0 && ${inner()})) >= ${random.between(0, 2)}`,
    ])();
  }
  if (random.chance(0.3)) return randomByteCondition(random, 0);
  return random.pick([
    () => `json.level == ${literal(random.pick(words))}`,
    () => `json.n ${random.pick(["<", ">=", "==", "!="])} ${random.between(0, 9)}`,
    () => `json.n + 1.0 > ${random.between(0, 9)}.0`,
    () => `${random.between(0, 4)} in json.items`,
    () => `json.items == [${random.between(0, 4)}, ${random.between(0, 4)}]`,
    () => `json.items.map(x, x * 2.0) == [${random.between(0, 4) * 2}.0]`,
    () => `has(json.${random.pick(["n", "level", "inner", "nothing"])})`,
    () => "json.inner.ok",
    () => 'json.inner == {"ok": true, "a b": null}',
    () => `text.contains(${literal(random.pick(words))})`,
    () => `text.matches(${literal(random.pick(["err.r", "^[a-z]+ [0-9]$", "日|\\d", "(?i)ERROR"]))})`,
    () => `size(text) ${random.pick(["<", ">"])} ${random.between(0, 60)}`,
    () => `key + "x" == ${literal(`${random.pick(keys)}x`)}`,
    () => `value == b"a" || size(value) > ${random.between(0, 60)}`,
    () => `time >= timestamp("2026-01-01T00:00:0${random.between(0, 9)}Z")`,
    () => `string(offset).endsWith("${random.between(0, 9)}")`,
    () => "type(json) == map",
  ])();
}

const notJson = celError("the value is not JSON");
const environment = celEnv();

/** Returns what the library says about the condition, with none of our functions, bytes or limits. */
export function libraryFilter(
  condition: string,
): (record: FilteredRecord, offset: number, timestampMs: number) => boolean {
  const evaluate = plan(environment, parse(condition));
  return ({ key, value, headers }, offset, timestampMs) => {
    const variables = {
      key: decoded(key),
      headers: new Map(headers.map((header) => [header.key, decoded(header.value)])),
      value,
      text: decoded(value),
      json: parsed(decoded(value)) as CelInput,
      offset: BigInt(offset),
      time: timestampFromMs(timestampMs),
    };
    return evaluate(variables) === true;
  };
}

const decoded = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

function parsed(text: string): CelInput | CelError {
  try {
    return JSON.parse(text) as CelInput;
  } catch {
    return notJson;
  }
}
