/**
 * The cursors that the frames of a stopped node make, deleted ones included. A cursor of the log of an id and a name goes through
 * states, each of which begins with a frame: absent (version 0), a version, the next one, and absent again.
 */
import { batchKind, frameCommand, frameIndex, frameKind, frameLogId } from "../../../src/log/mod.ts";

export interface CursorState {
  /** Of the frame that began it; 0 for the first one. */
  readonly index: number;
  readonly version: number;
  readonly offset: number;
  readonly metadata: string;
}

/** A delete that was written. `isIdle`: not by a client, but because the log was deleted, or nothing was committed for 30 days. */
export interface CursorRemoval {
  readonly key: string;
  readonly log: number;
  readonly isIdle: boolean;
}

const absent = { version: 0, offset: 0, metadata: "" } as const;

/** Where a cursor is: the id of its log, 0 for `default`, and its name. */
export const keyOf = (log: number, cursor: string): string => `${log}/${cursor}`;

export class CommittedCursors {
  /** The states of each cursor, oldest first. */
  readonly states = new Map<string, CursorState[]>();
  readonly removals: CursorRemoval[] = [];
  readonly flaws: string[] = [];
  readonly #keys = new Map<number, { readonly key: string; readonly log: number }>();

  /** Returns false for a frame that is about no cursor. */
  add(frame: Buffer): boolean {
    const [id, kind, index] = [frameLogId(frame, 0), frameKind(frame, 0), frameIndex(frame, 0)];
    const known = this.#keys.get(id);
    if (kind === batchKind.commitCursor) this.#moved(id, index, commandOf(frame) as Commit);
    else if (known === undefined) return false;
    else if (kind === batchKind.deleteLog) this.#removed(known, index, commandOf(frame) as Delete);
    else this.flaws.push(`a batch of kind ${kind} is for the cursor ${known.key}`);
    return true;
  }

  #moved(id: number, index: number, { log, cursor, offset, metadata = "" }: Commit): void {
    const known = this.#keys.get(id);
    if (known === undefined && (log === undefined || cursor === undefined)) {
      this.flaws.push(`the commit at ${index} is for the cursor ${id}, which is not there`);
      return;
    }
    const { key } = known ?? { key: keyOf(log!, cursor!) };
    if (known === undefined) {
      this.#keys.set(id, { key, log: log! });
      if (this.#last(key).version > 0) this.flaws.push(`the cursor ${key} is created again at ${index}`);
    } else if (this.#last(key).version === 0) this.flaws.push(`the deleted cursor ${key} moves at ${index}`);
    this.#add(key, { index, version: index, offset, metadata });
  }

  #removed(
    { key, log }: { readonly key: string; readonly log: number },
    index: number,
    { version: upTo }: Delete,
  ): void {
    if (upTo !== undefined && this.#last(key).version > upTo) return;
    this.removals.push({ key, log, isIdle: upTo !== undefined });
    this.#add(key, { ...absent, index });
  }

  #last(key: string): CursorState {
    return this.states.get(key)?.at(-1) ?? { ...absent, index: 0 };
  }

  #add(key: string, state: CursorState): void {
    const states = this.states.get(key) ?? [{ ...absent, index: 0 }];
    states.push(state);
    this.states.set(key, states);
  }
}

interface Commit {
  readonly offset: number;
  readonly metadata?: string;
  /** Of the first commit. */
  readonly log?: number;
  readonly cursor?: string;
}

interface Delete {
  readonly version?: number;
}

const commandOf = (frame: Buffer): unknown => {
  const command = Buffer.from(frameCommand(frame, 0));
  return command.length === 0 ? {} : JSON.parse(command.toString());
};
