import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addressBytes,
  addressText,
  endpointText,
  isUnicast,
  parseHostPort,
} from "../../../../src/membership/codec/address.ts";

test("an address has one form as bytes and one as text", () => {
  for (const [text, hex] of [
    ["192.168.1.2", "c0a80102"],
    ["::1", "00000000000000000000000000000001"],
    ["::", "00000000000000000000000000000000"],
    ["2001:db8::1:0:0:7", "20010db8000000000001000000000007"],
    ["fe80::a:b:c:d", "fe80000000000000000a000b000c000d"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
  ] as const) {
    assert.equal(addressBytes(text).toString("hex"), hex);
    assert.equal(addressText(Buffer.from(hex, "hex")), text);
  }
  assert.equal(addressBytes("2001:0DB8:0:0::7").toString("hex"), "20010db8000000000000000000000007");
  assert.equal(addressText(Buffer.from("00000000000000000000ffffc0a80102", "hex")), "192.168.1.2");
});

test("a host that is not a numeric address is refused", () => {
  for (const bad of ["", "localhost", "256.1.1.1", "1.2.3", ":::", "1::2::3", "1:2:3:4:5:6:7", "12345::"]) {
    assert.throws(() => addressBytes(bad), { kind: "bad-request" }, bad);
  }
  assert.equal(addressText(Buffer.alloc(5)), undefined);
});

test("host and port are parsed and formatted", () => {
  for (const text of ["10.0.0.1:7946", "[::1]:80", "node.example:1"]) {
    assert.equal(endpointText(parseHostPort(text, 9)), text);
  }
  assert.deepEqual(parseHostPort("example", 7946), { host: "example", port: 7946 });
  assert.deepEqual(parseHostPort("fe80::1", 7946), { host: "fe80::1", port: 7946 });
  for (const bad of ["", ":80", "a:0", "a:65536", "a:b", "[::1", "a:1:2"]) {
    assert.throws(() => parseHostPort(bad, 7946), { kind: "bad-request" }, bad);
  }
});

test("unspecified, multicast and broadcast addresses are not unicast", () => {
  for (const host of ["127.0.0.1", "10.0.0.1", "1.0.0.0", "223.255.255.255", "::1", "fe80::1"]) {
    assert.ok(isUnicast(host), host);
  }
  for (const host of ["0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "ff02::1"]) {
    assert.ok(!isUnicast(host), host);
  }
});
