/** The types of cursors: how far a consumer of a log has got, by name. Pure. */

/** A cursor, as its row says. */
export interface CursorInfo {
  readonly name: string;
  /** The id of its log, in this life of the cluster; 0 for `default`. */
  readonly log: number;
  readonly life: number;
  /** The next offset that its consumer wants. */
  readonly offset: number;
  /** What its consumer stored with it; empty if nothing. */
  readonly metadata: string;
  /** The Raft index of its last commit. */
  readonly version: number;
  readonly createdMs: number;
  readonly committedMs: number;
  /** The subject that created it. Absent if no caller did. */
  readonly owner?: string;
}

/** Records from a cursor to the end of its log. Records that were trimmed do not count. */
export const lagOf = (
  { offset }: Pick<CursorInfo, "offset">,
  { lowest, next }: { readonly lowest: number; readonly next: number },
): number => Math.max(0, next - Math.max(offset, lowest));

/** A page of the cursors of a log, in the order of their names. */
export interface CursorPage {
  readonly cursors: readonly CursorInfo[];
  /** How many cursors the log has. */
  readonly count: number;
  /** The name after which the next page begins. Undefined at the end. */
  readonly next: string | undefined;
}

/** What a commit sets. */
export interface CursorCommit {
  readonly cursor: string;
  readonly offset: number;
  /** Default: none. */
  readonly metadata?: string;
}
