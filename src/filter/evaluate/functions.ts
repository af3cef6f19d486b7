/**
 * The functions of CEL whose time depends on the size of their arguments, in a form that counts it before it works. They replace
 * those of the library. The others take constant time.
 *
 *   @step, @range     are put into each loop by count-loops.ts: no expression can name them
 */
import {
  type CelFunc,
  type CelInput,
  CelScalar,
  type CelType,
  type CelValue,
  celEnv,
  celFunc,
  celMethod,
  isCelError,
  isCelList,
  isCelMap,
  listType,
} from "@bufbuild/cel";
import { equal } from "./equality.ts";
import { joinLists } from "./lists.ts";
import { searchUnits } from "./search-units.ts";
import { meter } from "./work-meter.ts";

/** Longest text that is read as a number, a time or a duration. */
const scalarTextMax = 64;
/** A call with the name of a time zone: the library makes a formatter each time. */
const timeZoneUnits = 20_000;

const { BOOL, DYN, INT, STRING } = CelScalar;
const list = listType(DYN);

type Charge = (...args: readonly CelValue[]) => void;

const sizeOf = (value: CelValue | undefined): number => {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length;
  return isCelList(value) || isCelMap(value) ? value.size : 0;
};

/** The functions of the library with one of the names, each after a charge for its target and arguments. */
function charged(names: readonly string[], charge: Charge): CelFunc[] {
  const found: CelFunc[] = [];
  for (const name of names) {
    for (const original of standard.find(name) ?? []) {
      if (original.target === undefined) {
        const call = (...args: CelValue[]): CelInput => {
          charge(...args);
          return resultOf(original.call(0, undefined, args));
        };
        found.push(celFunc(name, original.arguments, original.result, call as never));
      } else {
        const call = function (this: CelValue, ...args: CelValue[]): CelInput {
          charge(this, ...args);
          return resultOf(original.call(0, this, args));
        };
        found.push(celMethod(name, original.target, original.arguments, original.result, call as never));
      }
    }
  }
  return found;
}

const standard = celEnv().funcs;

function resultOf(result: unknown): CelInput {
  if (result === undefined || isCelError(result)) throw result ?? new Error("no such overload");
  return result as CelInput;
}

const ofSize: Charge = (...args) => {
  let total = 1;
  for (const arg of args) total += sizeOf(arg);
  meter.charge(total / 8);
};

const ofShortText: Charge = (value) => {
  if (typeof value === "string" && value.length > scalarTextMax)
    throw new Error(`a text of more than ${scalarTextMax} characters`);
};

const ofSearch: Charge = (text, sought) => meter.charge(searchUnits(sizeOf(text), sizeOf(sought)));

function codePoints(text: string): bigint {
  meter.charge(1 + text.length / 4);
  let count = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0xd800 && code <= 0xdbff && at + 1 < text.length) {
      const next = text.charCodeAt(at + 1);
      if (next >= 0xdc00 && next <= 0xdfff) count--;
    }
  }
  return BigInt(count);
}

function joined(left: CelInput<CelType>, right: CelInput<CelType>): CelInput {
  if (!isCelList(left) || !isCelList(right)) throw new Error("no such overload");
  return joinLists(left, right);
}

const isIn = (value: CelValue, all: CelValue): boolean => {
  if (!isCelList(all)) throw new Error("no such overload");
  for (const each of all) {
    meter.charge(8);
    if (equal(each, value)) return true;
  }
  return false;
};

function matches(this: string, pattern: string): boolean {
  const compiled = meter.patterns.get(pattern);
  if (compiled === undefined) throw new Error("a regular expression is a literal");
  return compiled.test(this);
}

/** They count as steps: see count-loops.ts. */
export const stepFunction = "@step";
export const rangeFunction = "@range";

function rangeOf(range: CelValue): CelInput {
  meter.charge(10 + sizeOf(range) * 8);
  return range as CelInput;
}

const timeGetters = [
  ...["getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"],
  ...["getHours", "getMinutes", "getSeconds", "getMilliseconds"],
];

export const countedFunctions: CelFunc[] = [
  ...charged(["_<_", "_<=_", "_>_", "_>=_", "_+_", "string", "bytes"], ofSize),
  ...charged(["int", "uint", "double", "bool", "timestamp", "duration"], ofShortText),
  ...charged(["contains", "startsWith", "endsWith"], ofSearch),
  ...charged(timeGetters, (_time, zone) => meter.charge(zone === undefined ? 100 : timeZoneUnits)),
  celFunc("_+_", [list, list], list, joined as never),
  celFunc("_==_", [DYN, DYN], BOOL, equal as never),
  celFunc("_!=_", [DYN, DYN], BOOL, ((left: CelValue, right: CelValue) => !equal(left, right)) as never),
  celFunc("@in", [DYN, list], BOOL, isIn as never),
  celFunc("size", [STRING], INT, codePoints),
  celMethod("size", STRING, [], INT, function () {
    return codePoints(this);
  }),
  celMethod("matches", STRING, [STRING], BOOL, matches),
  celFunc(rangeFunction, [DYN], DYN, rangeOf as never),
  celFunc(stepFunction, [INT], BOOL, (units) => {
    meter.charge(Number(units));
    return true;
  }),
];
