/** Lists of CEL that are backed by an array of ours: they are joined without reading each element through the library. */
import { type CelInput, type CelList, celList } from "@bufbuild/cel";
import { meter } from "./work-meter.ts";

const arrays = new WeakMap<CelList, readonly CelInput[]>();

export function listOf(array: readonly CelInput[]): CelList {
  const list = celList(array);
  arrays.set(list, array);
  return list;
}

/** The elements of both. @throws the error of the meter */
export function joinLists(left: CelList, right: CelList): CelList {
  return listOf(elementsOf(left).concat(elementsOf(right)));
}

function elementsOf(list: CelList): readonly CelInput[] {
  const array = arrays.get(list);
  if (array !== undefined) {
    meter.charge(20 + array.length * 3);
    return array;
  }
  meter.charge(20 + list.size * 8);
  return [...list] as CelInput[];
}
