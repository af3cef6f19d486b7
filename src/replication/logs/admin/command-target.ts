/** The row that a command is about. */
import type { LogRow } from "../../../log/mod.ts";

/** The row of a command: one that is there, or one that is to be created. */
export interface CommandTarget extends Pick<LogRow, "id" | "name"> {
  /** The name of another log for which the command is a barrier, too. */
  readonly barrier?: string | undefined;
  /** Whose room it uses in the queue. Default: that of the node. */
  readonly subject?: string | undefined;
}
