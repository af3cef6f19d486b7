/** The settings of S3 from flags and variables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { settingsOf } from "../../../../src/objects/s3/s3-settings.ts";

const place = { bucket: "logs", prefix: "" };

test("the endpoint: the flag, then the variable of S3, then that of all services, then AWS", () => {
  const variables = { AWS_ENDPOINT_URL_S3: "http://two:1", AWS_ENDPOINT_URL: "http://three:1" };
  const of = (endpoint: string | undefined, environment: Record<string, string>): string =>
    settingsOf(place, { endpoint }, environment).bucket.origin;
  assert.equal(of("http://one:1", variables), "http://one:1");
  assert.equal(of(undefined, variables), "http://two:1");
  assert.equal(of(undefined, { AWS_ENDPOINT_URL: "http://three:1" }), "http://three:1");
  assert.equal(of(undefined, {}), "https://logs.s3.us-east-1.amazonaws.com");
});

test("the region", () => {
  const of = (environment: Record<string, string>): string => settingsOf(place, {}, environment).region;
  assert.deepEqual(
    [
      of({ AWS_REGION: "a-1", AWS_DEFAULT_REGION: "b-1" }),
      of({ AWS_DEFAULT_REGION: "b-1" }),
      of({ AWS_REGION: "" }),
    ],
    ["a-1", "b-1", "us-east-1"],
  );
  assert.throws(() => of({ AWS_REGION: "evil.example.org/" }), { kind: "config" });
});

test("the headers of encryption", () => {
  const of = (flags: Parameters<typeof settingsOf>[1]) => settingsOf(place, flags, {}).encryption;
  assert.deepEqual(of({}), {});
  assert.deepEqual(of({ encryption: "AES256" }), { "x-amz-server-side-encryption": "AES256" });
  assert.deepEqual(Object.values(of({ encryption: "aws:kms", encryptionKey: "k" })), ["aws:kms", "k"]);
  assert.throws(() => of({ encryptionKey: "k" }), { kind: "config" });
  assert.throws(() => of({ encryption: "AES256", encryptionKey: "k" }), { kind: "config" });
});
