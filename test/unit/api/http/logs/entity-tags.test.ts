import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isKnownTag,
  requiredVersion,
  tagOfLog,
  tagOfRecord,
} from "../../../../../src/api/http/logs/entity-tags.ts";
import { Fault } from "../../../../../src/fault.ts";

test("the tag of a log is its version, that of a record has log, offset and form", () => {
  assert.equal(tagOfLog({ version: 7 }), '"7"');
  assert.equal(tagOfRecord("3-1", 9, "bytes"), '"3-1.9.bytes"');
});

test("If-None-Match is a list of tags, weak ones too, or a star", () => {
  for (const header of ['"7"', 'W/"7"', '"1", "7"', "*"])
    assert.equal(isKnownTag(header, '"7"'), true, header);
  for (const header of [undefined, "", "7", '"77"', '"1","2"'])
    assert.equal(isKnownTag(header, '"7"'), false, String(header));
});

test("If-Match is one version or a star", () => {
  assert.equal(requiredVersion('"12"'), 12);
  assert.equal(requiredVersion(' "12" '), 12);
  assert.equal(requiredVersion(undefined), undefined);
  assert.equal(requiredVersion("*"), undefined);
  for (const header of ["", "12", '"1", "2"', 'W/"1"', '"x"', '"9999999999999999"'])
    assert.throws(
      () => requiredVersion(header),
      (reason) => reason instanceof Fault && reason.kind === "bad-request",
    );
});
