import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isKnownTag,
  requiredLog,
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
  assert.equal(tagOfRecord("3-1", 9, "bytes"), '"3-1.9.bytes"');
});

test("If-None-Match is a list of tags, weak ones too, or a star", () => {
  for (const header of ['"7"', 'W/"7"', '"1", "7"', "*"])
    assert.equal(isKnownTag(header, '"7"'), true, header);
  for (const header of [undefined, "", "7", '"77"', '"1","2"'])
    assert.equal(isKnownTag(header, '"7"'), false, String(header));
});

const kindOf = (header: string): string | undefined => {
  try {
    requiredLog(header);
    return undefined;
  } catch (reason) {
    return reason instanceof Fault ? reason.kind : String(reason);
  }
};

test("If-Match is one log at one version, or a star; any other tag matches nothing", () => {
  assert.deepEqual(requiredLog('"3-1.12"'), { life: 3, id: 1, version: 12 });
  assert.deepEqual(requiredLog(' "3-1.12" '), { life: 3, id: 1, version: 12 });
  assert.equal(requiredLog(undefined), undefined);
  assert.equal(requiredLog("*"), undefined);
  for (const header of ["", "12", '"1", "2"', 'W/"3-1.1"', '"9999999999-1.1"', '"', '"\u0000"'])
    assert.equal(kindOf(header), "bad-request", header);
  for (const header of ['"x"', '"12"', '"3-1"', '"3-1.9999999999999999"', '""'])
    assert.equal(kindOf(header), "failed-precondition", header);
});
