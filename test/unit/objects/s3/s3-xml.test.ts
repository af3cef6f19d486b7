/** The XML of S3. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { completion, elementOf, readObjects, readUploads } from "../../../../src/objects/s3/s3-xml.ts";

const page = (inside: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inside}</ListBucketResult>`;
const item = (key: string, size: string, time = "2026-11-30T19:00:00.000Z"): string =>
  `<Contents><Key>${key}</Key><LastModified>${time}</LastModified><ETag>&quot;x&quot;</ETag><Size>${size}</Size></Contents>`;

test("a list of objects", () => {
  const { objects, next } = readObjects(
    page(
      `<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>${item("a%2Fb", "5")}${item("c+d", "0")}`,
    ),
  );
  assert.deepEqual(
    objects.map(({ name, bytes }) => [name, bytes]),
    [
      ["a/b", 5],
      ["c d", 0],
    ],
  );
  assert.equal(objects[0]!.modifiedMs, Date.UTC(2026, 10, 30, 19));
  assert.equal(next, "a&b");
  assert.deepEqual(readObjects(page("<IsTruncated>false</IsTruncated>")), { objects: [], next: undefined });
});

test("a list that is not valid is refused", () => {
  for (const wrong of [
    "",
    "<html></html>",
    page("<IsTruncated>true</IsTruncated>"),
    page(item("a", "1")).slice(0, -1),
    page(`<IsTruncated>false</IsTruncated>${item("a", "1")}${item("b", "1")}`).slice(0, 300),
    page(item("a", "-1")),
    page(item("a", "x")),
    page(item("a", "1e300")),
    page(item("a", "1", "yesterday")),
    page(item("%E0%A4%A", "1")),
  ])
    assert.throws(() => readObjects(wrong), { kind: "corrupt" }, wrong);
  assert.throws(() => readUploads(page("")), { kind: "corrupt" });
  assert.throws(() => readUploads("<ListMultipartUploadsResult>"), { kind: "corrupt", message: /is cut/ });
  assert.throws(
    () =>
      readUploads("<ListMultipartUploadsResult><Upload><Key>a</Key></Upload></ListMultipartUploadsResult>"),
    { kind: "corrupt" },
  );
});

test("uploads, elements and the list of parts", () => {
  const xml =
    "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><Upload><Key>a</Key><UploadId>1&lt;2</UploadId></Upload></ListMultipartUploadsResult>";
  assert.deepEqual(readUploads(xml), { uploads: [{ name: "a", id: "1<2" }], isCut: true });
  assert.equal(elementOf("<Error><Code>A&#65;&#x42;&what;</Code></Error>", "Code"), "AAB&what;");
  assert.equal(elementOf("<Code>", "Code"), undefined);
  assert.match(
    completion(['"a"', "b"]),
    /<PartNumber>1<\/PartNumber><ETag>&quot;a&quot;<\/ETag>.*<PartNumber>2<\/PartNumber><ETag>b</,
  );
});
