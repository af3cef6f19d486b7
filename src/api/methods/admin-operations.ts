/**
 * The RPCs of log.v1.Cluster that change who is in it, or copy it: as messages; the work is done by whoever can.
 *
 * Never: decides who may (the doors do, and the leader once more).
 */
import type { Identity } from "../../access/mod.ts";
import { crc32 } from "../../lib/checksum.ts";
import { faultOfAbort, signalOf, unlessAborted } from "../calls/abort.ts";
import { callOf } from "../calls/call-context.ts";
import type { ClusterOperations } from "./cluster-service.ts";

type Admin = Pick<Identity, "subject" | "isPeer">;

/** A part of one file of a backup. */
export interface BackupPart {
  readonly file: string;
  readonly position: number;
  readonly fileBytes: number;
  readonly data: Uint8Array;
}

/** Whoever can change the cluster. Rejections are Faults. */
export interface ClusterAdmin {
  /** Adds the node at `addr`, which must be `id` unless that is empty; resolves once it is a member. */
  add(id: string, addr: string, caller: Admin): Promise<void>;
  remove(id: string, caller: Admin): Promise<void>;
  /** Answers who leads then. Empty: whoever is furthest along. */
  transfer(to: string, caller: Admin): Promise<string>;
  /** The log as it is committed now, but for the files that the caller has. */
  backup(have: readonly string[]): Iterable<BackupPart>;
}

export function adminOperations(
  admin: ClusterAdmin,
): Pick<ClusterOperations, "addNode" | "removeNode" | "transferLeadership" | "backup"> {
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

    async *backup({ have }, context) {
      const signal = signalOf(callOf(context), context.signal);
      for (const { file, position, fileBytes, data } of admin.backup(have)) {
        if (signal.aborted) throw faultOfAbort(signal);
        yield { file, position: BigInt(position), fileBytes: BigInt(fileBytes), data, crc32: crc32(data) };
      }
    },
  };
}
