import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isKnownTag,
  requiredLogs,
  tagOfLog,
  tagOfRecord,
} from "../../../../../src/api/http/logs/entity-tags.ts";
import { Fault } from "../../../../../src/fault.ts";

test("the tag of a log has its id, life and version, that of a record has log, offset and form", () => {
  assert.equal(tagOfLog({ life: 3, id: 1, version: 7 }), '"3-1.7"');
  // Life and id differ, the version is the same: after a restore, or for another log of the name.
  for (const other of [
    { life: 4, id: 1 },
    { life: 3, id: 2 },
  ])
    assert.equal(isKnownTag('"3-1.7"', tagOfLog({ ...other, version: 7 })), false);
  assert.equal(tagOfRecord("3-1", 9, "text"), '"3-1.9.text"');
  const ofType = tagOfRecord("3-1", 9, "bytes", "image/png");
  assert.match(ofType, /^"3-1\.9\.bytes\.[0-9a-f]+"$/);
  assert.notEqual(ofType, tagOfRecord("3-1", 9, "bytes", "image/gif"));
});

test("If-None-Match is a list of tags, weak ones too, or a star", () => {
  for (const header of ['"7"', 'W/"7"', '"1", "7"', "*"])
    assert.equal(isKnownTag(header, '"7"'), true, header);
  for (const header of [undefined, "", "7", '"77"', '"1","2"'])
    assert.equal(isKnownTag(header, '"7"'), false, String(header));
});

const kindOf = (header: string): string | undefined => {
  try {
    requiredLogs(header);
    return undefined;
  } catch (reason) {
    return reason instanceof Fault ? reason.kind : String(reason);
  }
};

test("If-Match is a list of logs at a version, or a star; weak and other tags match nothing", () => {
  const required = { life: 3, id: 1, version: 12 };
  for (const header of ['"3-1.12"', ' "3-1.12" ', '"x,y" ,W/"3-1.1", ,"3-1.12",'])
    assert.deepEqual(requiredLogs(header), [required], header);
  assert.deepEqual(requiredLogs('"3-1.12", "4-1.9"'), [required, { life: 4, id: 1, version: 9 }]);
  assert.equal(requiredLogs(undefined), undefined);
  assert.equal(requiredLogs("*"), undefined);
  const many = Array(65).fill('"3-1.1"').join();
  for (const header of ["", "12", '"', '"\u0000"', '*, "3-1.1"', '"3-1.1" "3-1.2"', 'w/"1"', ",", many])
    assert.equal(kindOf(header), "bad-request", header);
  for (const header of ['"x"', '"12"', '"3-1"', '""', 'W/"3-1.1"', '"1", "2"'])
    assert.equal(kindOf(header), "failed-precondition", header);
});
