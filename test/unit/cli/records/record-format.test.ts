import assert from "node:assert/strict";
import { test } from "node:test";
import { statusOf } from "../../../../src/cli/exit-status.ts";
import { faultLine } from "../../../../src/cli/output/fault-line.ts";
import { bytesText, table } from "../../../../src/cli/output/table.ts";
import { linesOf } from "../../../../src/cli/records/lines.ts";
import { recordPrinter } from "../../../../src/cli/records/record-format.ts";
import { Fault } from "../../../../src/fault.ts";

const record = {
  offset: 7,
  timestampMs: 1234,
  key: Buffer.from("k"),
  value: Uint8Array.of(0xff, 0x0a, 0x41),
  headers: [{ key: "h", value: Buffer.from("v") }],
};
const print = (format: string): string => Buffer.from(recordPrinter(format)(record)).toString("latin1");

test("records are formatted as json, raw, hex or in a custom format", () => {
  assert.equal(
    print("json"),
    '{"offset":7,"timestamp_ms":1234,"key":"aw==","headers":[{"key":"h","value":"dg=="}],"value":"/wpB"}\n',
  );
  assert.equal(print("raw"), "\xff\nA\n");
  assert.equal(print("hex"), "ff0a41\n");
  assert.equal(print("%o|%t|%k|%v|%s|%%|x\\t\\\\\\n"), "7|1234|k|\xff\nA|3|%|x\t\\\n");
});

test("an invalid format is rejected", () => {
  for (const bad of ["jsno", "%x", "%", "%o\\q"]) {
    assert.throws(() => recordPrinter(bad), { kind: "config" }, bad);
  }
});

test("lines are split at line ends, however the chunks are split", async () => {
  const cut = async (pieces: readonly string[]): Promise<string[]> => {
    const lines: string[] = [];
    const stream = (async function* () {
      for (const piece of pieces) yield Buffer.from(piece);
    })();
    for await (const line of linesOf(stream, 10)) lines.push(Buffer.from(line).toString());
    return lines;
  };
  assert.deepEqual(await cut(["a\nb", "c\n", "\n", "d"]), ["a", "bc", "", "d"]);
  assert.deepEqual(await cut(["", "\n"]), [""]);
  assert.deepEqual(await cut([]), []);
  assert.deepEqual(await cut(["a\r\n"]), ["a\r"]);
  await assert.rejects(cut(["12345", "678901"]), { kind: "too-large" });
});

test("tables align, sizes have units, faults have one line and a status", () => {
  assert.equal(
    table(
      ["id", "n"],
      [
        ["a", 5],
        ["long", 10],
      ],
    ),
    "id     n\na      5\nlong  10\n",
  );
  assert.deepEqual([0, 1023, 1536, 5 * 2 ** 30].map(bytesText), ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
  const fault = new Fault("out-of-range", { facts: { lowest: 1, next: 3 } });
  assert.equal(
    faultLine("consume", fault),
    "tailrace consume: the offset is not in the log (lowest 1, next 3)",
  );
  assert.deepEqual(
    [
      fault,
      new Fault("permission-denied"),
      new Fault("corrupt"),
      new Fault("unavailable", { facts: { unreachable: true } }),
    ].map(statusOf),
    [1, 4, 5, 3],
  );
});
