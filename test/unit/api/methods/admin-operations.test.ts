import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { adminOperations, type ClusterAdmin } from "../../../../src/api/methods/admin-operations.ts";
import {
  AddNodeRequestSchema,
  BackupRequestSchema,
  RemoveNodeRequestSchema,
  TransferLeadershipRequestSchema,
} from "../../../../src/gen/log/v1/log_pb.js";
import { crc32 } from "../../../../src/lib/checksum.ts";
import { handlerCall } from "../handler-call.ts";

function open(changed: Partial<ClusterAdmin> = {}) {
  const asked: unknown[] = [];
  const note = async (...given: unknown[]): Promise<void> => {
    asked.push(given);
  };
  const operations = adminOperations({
    add: (id, addr, { subject }) => note("add", id, addr, subject),
    remove: (id, { subject }) => note("remove", id, subject),
    transfer: async (to, { subject }) => {
      await note("transfer", to, subject);
      return "n2";
    },
    backup: () => [],
    ...changed,
  });
  return { operations, asked, ...handlerCall() };
}

const never = new Promise<never>(() => undefined);

test("an operation is done in the name of its caller", async () => {
  const { operations, context, asked } = open();
  await operations.addNode(create(AddNodeRequestSchema, { id: "n4", addr: "n4:1" }), context);
  await operations.removeNode(create(RemoveNodeRequestSchema, { id: "n3" }), context);
  const request = create(TransferLeadershipRequestSchema, { to: "" });
  assert.deepEqual(await operations.transferLeadership(request, context), { leaderId: "n2" });
  assert.deepEqual(asked, [
    ["add", "n4", "n4:1", "ann"],
    ["remove", "n3", "ann"],
    ["transfer", "", "ann"],
  ]);
});

test("a client that disconnects does not learn whether the members changed", async () => {
  const { operations, context, abort } = open({ remove: () => never });
  const work = Promise.resolve(operations.removeNode(create(RemoveNodeRequestSchema, {}), context));
  abort();
  await assert.rejects(work, { kind: "canceled", written: "unknown" });
});

test("each part of a backup has its checksum, and an abort ends the backup before its next part", async () => {
  const data = Buffer.from("abc");
  const part = { file: "a.store", position: 0, fileBytes: 6, data };
  const { operations, context, abort } = open({ backup: () => [part, { ...part, position: 3 }] });
  const parts = operations.backup(create(BackupRequestSchema, {}), context)[Symbol.asyncIterator]();
  const { value } = await parts.next();
  assert.deepEqual(value, { ...part, position: 0n, fileBytes: 6n, crc32: crc32(data) });
  abort();
  await assert.rejects(parts.next(), { kind: "canceled" });
});
