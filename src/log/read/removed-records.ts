/**
 * The fault of a read of records that were removed here, by a removal of segments or by settling, while the rows still show
 * them: this node has not applied the trim or the delete yet.
 */
import { Fault } from "../../fault.ts";
import type { Offset } from "../../types.ts";

export const removedRecords = (log: string, offset: Offset): Fault =>
  new Fault("unavailable", {
    message: `offset ${offset} of ${log} was removed, this node has not yet applied the command that removed it`,
  });
