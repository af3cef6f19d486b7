/**
 * The RPCs of log.v1.Cluster that change the members of the cluster or copy its log. They translate messages; ClusterAdmin
 * does the work. The permission table and then the leader check that the caller may do this.
 */
import type { Principal } from "../../access/mod.ts";
import type { BackupRequest } from "../../gen/log/v1/log_pb.js";
import { crc32 } from "../../lib/checksum.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { faultOfAbort, signalOf, unlessAborted } from "../calls/abort.ts";
import { callOf } from "../calls/call-context.ts";
import type { ClusterOperations } from "./cluster-service.ts";

/** A piece of one file of a backup. `position` is its place in the file, `fileBytes` the size of the whole file. */
export interface BackupPart {
  readonly file: string;
  readonly position: number;
  readonly fileBytes: number;
  readonly data: Uint8Array;
}

/** Changes the cluster. Rejects with Faults. */
export interface ClusterAdmin {
  /** Adds the node at `addr`. Its name must be `id`, unless that is empty. Resolves when it is a member. */
  add(id: string, addr: string, caller: Principal): Promise<void>;
  remove(id: string, caller: Principal): Promise<void>;
  /** Makes node `to` the leader. Empty: the node with the longest log. Returns the name of the new leader. */
  transfer(to: string, caller: Principal): Promise<string>;
  /**
   * Yields the log as it is committed now, without the files named in `have`; undefined where other work may run. `after`: the end
   * of the newest backup that the caller has. Throws if the log has another history.
   */
  backup(
    have: readonly string[],
    after: { readonly index: number; readonly crc: number } | undefined,
  ): Iterable<BackupPart | undefined>;
}

/** The end of the newest backup that the caller has; undefined without one. */
export const afterOf = ({
  afterIndex,
  afterCrc32,
}: Pick<BackupRequest, "afterIndex" | "afterCrc32">): Parameters<ClusterAdmin["backup"]>[1] =>
  afterIndex === 0n ? undefined : { index: Number(afterIndex), crc: afterCrc32 };

export function adminOperations(
  admin: ClusterAdmin,
): Required<Pick<ClusterOperations, "addNode" | "removeNode" | "transferLeadership" | "backup">> {
  return {
    async addNode({ id, addr }, context) {
      const call = callOf(context);
      await unlessAborted(
        admin.add(id, addr, call.client.identity),
        signalOf(call, context.signal),
        "unknown",
      );
      return {};
    },

    async removeNode({ id }, context) {
      const call = callOf(context);
      await unlessAborted(admin.remove(id, call.client.identity), signalOf(call, context.signal), "unknown");
      return {};
    },

    async transferLeadership({ to }, context) {
      const call = callOf(context);
      const work = admin.transfer(to, call.client.identity);
      return { leaderId: await unlessAborted(work, signalOf(call, context.signal), "unknown") };
    },

    async *backup(request, context) {
      const signal = signalOf(callOf(context), context.signal);
      for (const part of admin.backup(request.have, afterOf(request))) {
        if (signal.aborted) throw faultOfAbort(signal);
        if (part === undefined) {
          await new Promise<void>((resolve) => systemClock.soon(resolve));
          continue;
        }
        const { file, position, fileBytes, data } = part;
        yield { file, position: BigInt(position), fileBytes: BigInt(fileBytes), data, crc32: crc32(data) };
      }
    },
  };
}
