/** Addresses of buckets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "../../../../src/agent/config/read-config.ts";
import { checkStoreUrl } from "../../../../src/objects/mod.ts";
import { bucketUrl, checkEndpoint, objectUrl, parseBucketUrl } from "../../../../src/objects/s3/s3-url.ts";

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

test("a URL that is refused is named without its secrets", () => {
  const of = (work: () => unknown): string => {
    try {
      work();
    } catch (reason) {
      return String((reason as Error).message);
    }
    throw new Error("it was not refused");
  };
  const secrets = ["hunter2", "us/er", "AKIA"];
  const endpoints = [
    "https://us/er:hunter2@gateway",
    "https://AKIA:hunter2@gateway:9000/s3",
    "AKIA:hunter2@gateway",
    "https://gateway/?key=hunter2",
    "https://gateway/#hunter2",
    "https://AKIA:hunt@er2:hunter2@gateway",
  ];
  const messages = [
    ...endpoints.map((endpoint) => of(() => checkEndpoint(endpoint))),
    ...endpoints.map((endpoint) =>
      of(() => bucketUrl({ bucket: "logs", prefix: "" }, endpoint, "eu-north-1")),
    ),
    of(() => parseBucketUrl("s3://AKIA:hunter2@logs/place")),
    of(() => parseBucketUrl("s3://AKIA:hun/hunter2@logs")),
    of(() => checkStoreUrl("https://AKIA:hunter2@gateway/logs")),
    of(() => checkStoreUrl("file://AKIA:hunter2@machine/logs")),
    of(() => readConfig({ flags: ["--s3-endpoint", endpoints[0]!], environment: {}, readFile: () => "" })),
    of(() =>
      readConfig({ flags: [], environment: { TAILRACE_S3_ENDPOINT: endpoints[0]! }, readFile: () => "" }),
    ),
    of(() =>
      readConfig({ flags: ["--backup-to", "s3://AKIA:hunter2@logs"], environment: {}, readFile: () => "" }),
    ),
  ];
  for (const message of messages) for (const secret of secrets) assert.ok(!message.includes(secret), message);
  assert.match(messages[1]!, /not "https:\/\/\*\*\*@gateway:9000\/s3"$/);
  assert.equal(checkEndpoint("https://gateway.example.org/s3/"), "https://gateway.example.org/s3/");
});

test("the URL of an object", () => {
  const url = objectUrl(new URL("https://logs.s3.amazonaws.com"), "a/b.frames", { uploadId: "x+/=" });
  assert.equal(url.href, "https://logs.s3.amazonaws.com/a/b.frames?uploadId=x%2B%2F%3D");
  assert.equal(
    objectUrl(new URL("http://h:1/logs"), "", { "list-type": "2" }).href,
    "http://h:1/logs/?list-type=2",
  );
});

test("a file URL has three slashes and an absolute path, and nothing that a URL would cut off", () => {
  for (const url of ["file:///srv/backup", "FILE:///srv/my%20backup", "file:///srv/a b%23c"])
    assert.equal(checkStoreUrl(url), url);
  for (const wrong of [
    "file:relative",
    "file:/srv/backup",
    "file:",
    "file://",
    "file:///",
    "file://host/x",
    "file://localhost/x",
    "file:////x",
    "file:///\\x",
    "file:///srv/a#b",
    "file:///srv/a?b",
    "file:///srv/a\nb",
    "file:///srv/a ",
    " file:///srv/a",
  ]) {
    assert.throws(() => checkStoreUrl(wrong), { kind: "config", message: /file:\/\/\/DIRECTORY/ }, wrong);
    assert.throws(
      () => readConfig({ flags: ["--backup-to", wrong], environment: {}, readFile: () => "" }),
      { kind: "config" },
      wrong,
    );
  }
});
