/** Addresses of buckets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketUrl, objectUrl, parseBucketUrl } from "../../../../src/objects/s3/s3-url.ts";

test("the bucket and the prefix of an address", () => {
  assert.deepEqual(parseBucketUrl("s3://bucket"), { bucket: "bucket", prefix: "" });
  assert.deepEqual(parseBucketUrl("s3://bucket/"), { bucket: "bucket", prefix: "" });
  assert.deepEqual(parseBucketUrl("s3://my.bucket/a/b=c"), { bucket: "my.bucket", prefix: "a/b=c/" });
  assert.deepEqual(parseBucketUrl("s3://bucket/a/"), { bucket: "bucket", prefix: "a/" });
  for (const wrong of [
    "s3://",
    "s3:///a",
    "s3://b",
    "s3://UPPER/a",
    "s3://buck..et/a",
    "s3://bucket//a",
    "s3://bucket/../a",
    "s3://bucket/a b",
    "s3://bucket/a?x",
    "http://bucket/a",
    "s3:bucket",
    `s3://bucket/${"x".repeat(600)}`,
  ])
    assert.throws(() => parseBucketUrl(wrong), { kind: "config" }, wrong);
});

test("the URL of a bucket: of AWS by its host, with an endpoint by its path", () => {
  const of = (bucket: string, endpoint: string | undefined, region = "eu-north-1"): string =>
    bucketUrl({ bucket, prefix: "" }, endpoint, region).href;
  assert.equal(of("logs", undefined), "https://logs.s3.eu-north-1.amazonaws.com/");
  assert.equal(of("lo.gs", undefined), "https://s3.eu-north-1.amazonaws.com/lo.gs");
  assert.equal(of("logs", undefined, "cn-north-1"), "https://logs.s3.cn-north-1.amazonaws.com.cn/");
  assert.equal(of("logs", "http://127.0.0.1:9000"), "http://127.0.0.1:9000/logs");
  assert.equal(of("logs", "https://gateway.example.org/s3/"), "https://gateway.example.org/s3/logs");
  for (const wrong of ["gateway", "ftp://gateway", "https://user:secret@gateway", "https://gateway/?x=y", ""])
    assert.throws(() => of("logs", wrong), { kind: "config" }, wrong);
});

test("the URL of an object", () => {
  const url = objectUrl(new URL("https://logs.s3.amazonaws.com"), "a/b.frames", { uploadId: "x+/=" });
  assert.equal(url.href, "https://logs.s3.amazonaws.com/a/b.frames?uploadId=x%2B%2F%3D");
  assert.equal(
    objectUrl(new URL("http://h:1/logs"), "", { "list-type": "2" }).href,
    "http://h:1/logs/?list-type=2",
  );
});
