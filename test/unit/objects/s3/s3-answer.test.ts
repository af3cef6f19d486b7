/** What answers of an S3 server mean. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Verdict, verdictOf } from "../../../../src/objects/s3/s3-answer.ts";

const at = { url: "s3://logs/a", bucket: "logs", host: "s3.example.org" };
const verdict = (status: number, code?: string, accepted: number[] = [], more = ""): Verdict =>
  verdictOf(
    {
      status,
      headers: { "content-type": "application/xml" },
      body: Buffer.from(
        code === undefined ? "" : `<?xml version="1.0"?><Error><Code>${code}</Code>${more}</Error>`,
      ),
    },
    accepted,
    at,
  );
const refusal = (...asked: Parameters<typeof verdict>): [string, string] => {
  const found = verdict(...asked);
  assert.equal(found.kind, "refused");
  return found.kind === "refused" ? [found.fault.kind, found.fault.message] : ["", ""];
};

test("what is done, and what is repeated", () => {
  assert.equal(verdict(200).kind, "done");
  assert.equal(verdict(204).kind, "done");
  assert.equal(verdict(412, "PreconditionFailed", [412]).kind, "done");
  assert.equal(verdict(404, "NoSuchKey", [404]).kind, "done");
  for (const [status, code] of [
    [500, "InternalError"],
    [503, "SlowDown"],
    [502, undefined],
    [429, undefined],
    [409, "ConditionalRequestConflict"],
    [400, "BadDigest"],
    [400, "RequestTimeout"],
    [200, "InternalError"],
  ] as const)
    assert.equal(verdict(status, code).kind, "retry", `${status} ${code}`);
  assert.equal(verdict(403, "RequestTimeTooSkewed").kind, "skew");
  assert.equal(verdict(400, "ExpiredToken").kind, "expired");
});

test("what is refused, and why", () => {
  assert.deepEqual(refusal(404, "NoSuchBucket", [404]), [
    "not-found",
    "the bucket logs does not exist at s3.example.org",
  ]);
  assert.equal(refusal(403, "AccessDenied")[0], "permission-denied");
  assert.equal(refusal(404, "XAdminUserNotFound", [404])[0], "permission-denied");
  assert.equal(refusal(405, "MethodNotAllowed")[0], "unimplemented");
  const [kind, message] = refusal(400, "AuthorizationHeaderMalformed", [], "<Region>eu-west-9</Region>");
  assert.deepEqual([kind, /is in the region eu-west-9: set AWS_REGION/.test(message)], ["config", true]);
  assert.equal(refusal(301, "PermanentRedirect")[0], "config");
  assert.equal(refusal(412, "PreconditionFailed")[0], "failed-precondition");
  const [, said] = refusal(400, "Odd\u001b[31m", [], `<Message>${"m\n".repeat(1000)}</Message>`);
  assert.ok(said.length < 600 && !/\p{Cc}/u.test(said));
});
