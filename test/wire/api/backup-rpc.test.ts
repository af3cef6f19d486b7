/** The RPC Backup on the wire. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { adminOperations } from "../../../src/api/methods/admin-operations.ts";
import { BackupResponseSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope, envelopeBytes, envelopeFlag } from "../../../src/lib/envelope.ts";
import { serve } from "../../support/http/serve.ts";

/** The messages of a body of Connect, before the end of the stream. */
function* messagesOf(body: Buffer): Generator<{ readonly flags: number; readonly message: Buffer }> {
  for (let at = 0; (body[at]! & envelopeFlag.endStream) === 0; ) {
    const end = at + envelopeBytes + body.readUInt32BE(at + 1);
    yield { flags: body[at]!, message: body.subarray(at + envelopeBytes, end) };
    at = end;
  }
}

test("the parts of a backup are not compressed for a client that accepts it", async () => {
  const data = Buffer.alloc(100_000, "a");
  const part = { file: "a.frames", position: 0, fileBytes: data.length, data };
  const operations = adminOperations({
    add: async () => undefined,
    remove: async () => undefined,
    transfer: async () => "",
    backup: () => [part, undefined, part],
  });
  await using served = await serve({ operations });
  const response = await fetch(`${served.url}/log.v1.Cluster/Backup`, {
    method: "POST",
    headers: { "content-type": "application/connect+proto", "connect-accept-encoding": "gzip" },
    body: encodeEnvelope(new Uint8Array(0)),
  });
  assert.equal(response.status, 200);
  const messages = [...messagesOf(Buffer.from(await response.arrayBuffer()))];
  assert.deepEqual(
    messages.map(({ flags }) => flags),
    [0, 0],
  );
  for (const { message } of messages)
    assert.deepEqual(Buffer.from(fromBinary(BackupResponseSchema, message).data), data);
});
