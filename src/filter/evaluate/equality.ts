/** Equality of CEL values, as the specification says, which counts its work. */
import { type CelValue, celEnv, isCelList, isCelMap } from "@bufbuild/cel";
import { meter } from "./work-meter.ts";

const scalars = celEnv().funcs.find("_==_");

/** @throws the error of the meter */
export function equal(left: CelValue | undefined, right: CelValue | undefined): boolean {
  if (left === undefined || right === undefined) return false;
  meter.charge(8);
  if (typeof left === "string" && typeof right === "string") {
    if (left.length !== right.length) return false;
    meter.charge(left.length / 32);
    return left === right;
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    if (left.length !== right.length) return false;
    meter.charge(left.length / 8);
    return Buffer.compare(left, right) === 0;
  }
  if (isCelList(left)) return isCelList(right) && equalLists(left, right);
  if (isCelMap(left)) return isCelMap(right) && equalMaps(left, right);
  if (isCelList(right) || isCelMap(right)) return false;
  return scalars?.call(0, undefined, [left, right]) === true;
}

function equalLists(left: Iterable<CelValue> & { size: number }, right: typeof left): boolean {
  if (left.size !== right.size) return false;
  meter.charge(10);
  const others = right[Symbol.iterator]();
  for (const value of left) if (!equal(value, others.next().value)) return false;
  return true;
}

type Entries = Extract<CelValue, ReadonlyMap<unknown, unknown>>;

function equalMaps(left: Entries, right: Entries): boolean {
  if (left.size !== right.size) return false;
  meter.charge(20);
  for (const [key, value] of left) {
    meter.charge(20);
    if (!equal(value, right.get(key))) return false;
  }
  return true;
}
