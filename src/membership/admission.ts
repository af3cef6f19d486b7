/**
 * Refused members and name conflicts: counts them, and reports them as events, at most once in ten seconds per name, so
 * that a flood of forged messages does not become a flood of events.
 */
import type { Fault } from "../fault.ts";
import { type Endpoint, endpointText } from "./codec/address.ts";
import type { EventBuffer } from "./serf/serf-event.ts";
import { readTags, type Tags } from "./serf/tags.ts";

/**
 * Decides whether there may be a member of this name with these tags. A Fault says why not. It is called for every new
 * member and every change of tags, so it must be fast and synchronous.
 */
export type Admission = (name: string, tags: Tags) => Fault | undefined;

const reportIntervalMs = 10_000;
/** Most names and addresses that are kept. */
const namesMax = 1_024;

export interface AdmissionGateOptions {
  readonly events: EventBuffer;
  readonly nowMs: () => number;
  /** Default: every member is admitted. */
  readonly admission: Admission | undefined;
}

export class AdmissionGate {
  readonly #options: AdmissionGateOptions;
  readonly #conflictMs = new Map<string, number>();
  readonly #refusedMs = new Map<string, number>();
  /** Address → why the member there was refused, since the last call of reset(). */
  #refusals = new Map<string, Fault>();

  constructor(options: AdmissionGateOptions) {
    this.#options = options;
  }

  /** Deletes the refusals, so that refusalAt() is about the reply that is handled next. */
  reset(): void {
    this.#refusals.clear();
  }

  /** Returns why the member at this address was refused, if it was. */
  refusalAt(at: Endpoint): Fault | undefined {
    return this.#refusals.get(endpointText(at));
  }

  /** Returns true if the member is not admitted. */
  refuses(name: string, at: Endpoint, meta: Buffer): boolean {
    const fault = this.#options.admission?.(name, readTags(meta));
    if (fault === undefined) return false;
    if (this.#refusals.size < namesMax) this.#refusals.set(endpointText(at), fault);
    if (this.#isDue(this.#refusedMs, name)) this.#options.events.add({ kind: "refused", name, at, fault });
    return true;
  }

  reportConflict(name: string, known: Endpoint, claimed: Endpoint): void {
    if (!this.#isDue(this.#conflictMs, name)) return;
    this.#options.events.add({ kind: "conflict", name, known, claimed });
  }

  /** Returns whether a conflict about this name was reported. */
  hadConflict(name: string): boolean {
    return this.#conflictMs.has(name);
  }

  #isDue(reportedMs: Map<string, number>, name: string): boolean {
    const now = this.#options.nowMs();
    const last = reportedMs.get(name);
    if (last !== undefined && now - last < reportIntervalMs) return false;
    if (last === undefined && reportedMs.size >= namesMax) reportedMs.clear();
    reportedMs.set(name, now);
    return true;
  }
}
