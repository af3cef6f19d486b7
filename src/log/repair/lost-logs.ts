/** What a repair takes from named logs. Pure. */
import { rowLabel } from "../state/cursor-row.ts";
import type { LogRow } from "../state/log-row.ts";
import type { KnownEnd, KnownEnds } from "./known-ends.ts";
import type { LostLog, RepairPlan } from "./repair-plan.ts";

/** Losses that are listed. */
const listedMax = 1000;

/**
 * Compares the rows of the log as it is with those that stay. Both come by id. `ends` has the logs of the segments that are cut:
 * they may have more records than their rows say. It is emptied.
 */
export function lossesOf(
  rows: Iterable<LogRow>,
  ends: KnownEnds,
  kept: Iterable<LogRow>,
): Pick<RepairPlan, "lostLogs" | "moreLostLogs"> {
  const losses = new Losses();
  const others = kept[Symbol.iterator]();
  let next = others.next();
  const lookAt = (row: LogRow | undefined, stays: LogRow | undefined): void => {
    const id = (row ?? stays)!.id;
    const end = ends.has(id) ? ends.get(id) : row;
    ends.delete(id);
    if (end !== undefined) losses.add(id, { name: end.name ?? row?.name, next: end.next }, stays);
  };
  for (const row of rows) {
    for (; next.done !== true && next.value.id < row.id; next = others.next()) lookAt(undefined, next.value);
    const stays = next.done !== true && next.value.id === row.id ? next.value : undefined;
    lookAt(row, stays);
    if (stays !== undefined) next = others.next();
  }
  for (; next.done !== true; next = others.next()) lookAt(undefined, next.value);
  for (const [id, end] of ends) if (end !== undefined) losses.add(id, end, undefined);
  return losses.report();
}

/** The largest losses, and how many there are. */
class Losses {
  #largest: LostLog[] = [];
  #count = 0;

  /** `stays`: the row of the log afterwards. */
  add(id: number, { name, next }: KnownEnd, stays: LogRow | undefined): void {
    if (stays !== undefined && stays.next >= next) return;
    this.#count++;
    this.#largest.push({
      id,
      name: rowLabel(stays?.name ?? name),
      records: next - (stays?.next ?? 0),
      isGone: stays === undefined,
    });
    if (this.#largest.length >= 2 * listedMax) this.#cut();
  }

  report(): Pick<RepairPlan, "lostLogs" | "moreLostLogs"> {
    this.#cut();
    return { lostLogs: this.#largest, moreLostLogs: this.#count - this.#largest.length };
  }

  #cut(): void {
    this.#largest.sort((one, other) => other.records - one.records || one.id - other.id);
    this.#largest.length = Math.min(this.#largest.length, listedMax);
  }
}
