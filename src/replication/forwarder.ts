/** The port through which a node sends writes to the leader. */
import type { Appended, AppendOptions, ChangedLog, LogChange, Offset, RecordRun } from "../types.ts";

/**
 * Sends a call to the leader. Rejects with a Fault that says whether the write may have happened, also at once when
 * `signal` is aborted.
 */
export interface Forwarder {
  /** Sends a change of a named log. Resolves to its description after it, undefined if it was deleted. */
  changeLog(
    leader: string,
    change: LogChange,
    options: AppendOptions,
    signal?: AbortSignal,
  ): Promise<ChangedLog>;
  append(leader: string, run: RecordRun, options: AppendOptions, signal?: AbortSignal): Promise<Appended>;
  trim(leader: string, before: Offset, options: AppendOptions, signal?: AbortSignal): Promise<Offset>;
}
