/** The same script with common command-line clients: buf curl in three protocols, grpcurl with reflection, curl, grpc_health_probe. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createFastPath } from "../../../src/api/mod.ts";
import { serve } from "../../support/http/serve.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { jsonValues, runProgram } from "../../support/process/run-program.ts";

const record = (text: string) => ({ record: { value: Buffer.from(text).toString("base64") } });
const json = JSON.stringify;
const valuesIn = (out: string): string[] =>
  jsonValues(out).map((answer) => {
    const found = answer["record"] as { value?: string } | undefined;
    return Buffer.from(found?.value ?? "", "base64").toString();
  });

for (const protocol of ["grpc", "grpcweb", "connect"]) {
  test(`buf curl in ${protocol} lists, produces, consumes and streams`, async () => {
    await using served = await serve({ fastPath: createFastPath });
    const call = (method: string, ...messages: object[]) =>
      runProgram("buf", [
        "curl",
        "--http2-prior-knowledge",
        "--protocol",
        protocol,
        "--emit-defaults",
        "-d",
        messages.map((message) => json(message)).join(""),
        `${served.url}/${method}`,
      ]);
    const { out } = await runProgram("buf", [
      "curl",
      "--http2-prior-knowledge",
      "--list-methods",
      served.url,
    ]);
    for (const method of [
      "log.v1.Log/ConsumeBatches",
      "log.v1.Cluster/WhoAmI",
      "grpc.health.v1.Health/List",
    ]) {
      assert.ok(out.split("\n").includes(method), method);
    }
    assert.equal(jsonValues((await call("log.v1.Log/Produce", record("a"))).out)[0]?.["offset"], "0");
    const acks = await call("log.v1.Log/ProduceStream", record("b"), record("c"));
    assert.deepEqual(
      jsonValues(acks.out).map((ack) => ack["offset"]),
      ["1", "2"],
    );
    assert.deepEqual(valuesIn((await call("log.v1.Log/Consume", { offset: 1 })).out), ["b"]);
    assert.deepEqual(valuesIn((await call("log.v1.Log/ConsumeStream", { stopAtEnd: true })).out), [
      "a",
      "b",
      "c",
    ]);
    const bulk = await call("log.v1.Log/ProduceBulk", { records: [{}, {}] }, { records: [{}] });
    assert.equal(jsonValues(bulk.out)[0]?.["nextOffset"], "6");
    const batches = await call("log.v1.Log/ConsumeBatches", { offset: 3, stopAtEnd: true });
    assert.ok(jsonValues(batches.out).length >= 2);
    const missing = await call("log.v1.Log/Consume", { offset: 99 });
    assert.notEqual(missing.status, 0);
    const [error] = jsonValues(missing.err);
    assert.equal(error?.["code"], "out_of_range");
    assert.equal((error["details"] as { type: string }[])[0]?.type, "google.rpc.ErrorInfo");
    const health = await call("grpc.health.v1.Health/Check", { service: "log.v1.Log" });
    assert.equal(jsonValues(health.out)[0]?.["status"], "SERVING");
  });
}

test(
  "grpcurl lists, describes, calls and streams by reflection alone",
  requireProgram("grpcurl"),
  async () => {
    await using served = await serve({ fastPath: createFastPath });
    const address = `127.0.0.1:${served.port}`;
    const grpcurl = (...args: string[]) => runProgram("grpcurl", ["-plaintext", ...args]);
    const list = await grpcurl(address, "list");
    assert.ok(list.out.includes("log.v1.Log") && list.out.includes("grpc.health.v1.Health"), list.err);
    assert.match((await grpcurl(address, "list", "log.v1.Log")).out, /log\.v1\.Log\.ProduceStream/);
    assert.match((await grpcurl(address, "describe", "log.v1.Record")).out, /uint64 timestamp_ms = 7/);
    assert.match((await grpcurl(address, "describe", "log.v1.Log.Consume")).out, /rpc Consume/);
    const call = (method: string, ...messages: object[]) =>
      grpcurl(
        "-emit-defaults",
        "-d",
        messages.map((message) => json(message)).join(" "),
        address,
        `log.v1.Log/${method}`,
      );
    assert.equal(jsonValues((await call("Produce", record("a"))).out)[0]?.["offset"], "0");
    const acks = await call("ProduceStream", record("b"), record("c"));
    assert.equal(jsonValues(acks.out).length, 2);
    assert.deepEqual(valuesIn((await call("ConsumeStream", { stopAtEnd: true })).out), ["a", "b", "c"]);
    const missing = await call("Consume", { offset: 9 });
    assert.match(missing.err, /OutOfRange/);
    assert.match(missing.err, /OUT_OF_RANGE/);
    const unknown = await grpcurl(address, "describe", "log.v1.Nope");
    assert.notEqual(unknown.status, 0);
  },
);

test(
  "grpc_health_probe sees a serving and a stopping server",
  requireProgram("grpc_health_probe"),
  async () => {
    await using served = await serve();
    const probe = (...args: string[]) =>
      runProgram("grpc_health_probe", [`-addr=127.0.0.1:${served.port}`, ...args]);
    assert.equal((await probe()).status, 0);
    assert.equal((await probe("-service=log.v1.Log")).status, 0);
    assert.notEqual((await probe("-service=nothing")).status, 0);
    served.setReasons(["stopping"]);
    assert.notEqual((await probe()).status, 0);
  },
);

test("curl can use every HTTP route", requireProgram("curl"), async () => {
  await using served = await serve({ fastPath: createFastPath });
  const curl = (...args: string[]) => runProgram("curl", ["-sS", ...args]);
  assert.equal((await curl("-X", "POST", served.url, "-d", json(record("a")))).out, '{"offset":0}\n');
  const got = await curl("-X", "GET", served.url, "-d", '{"offset":0}');
  assert.equal(got.out, '{"record":{"value":"YQ==","offset":0}}\n');
  const h2 = await curl("--http2-prior-knowledge", `${served.url}/?offset=0`);
  assert.equal(h2.out, got.out);
  const rpc = await curl(
    "-H",
    "content-type: application/json",
    "-d",
    "{}",
    `${served.url}/log.v1.Log/Describe`,
  );
  assert.equal((JSON.parse(rpc.out) as Record<string, unknown>)["nextOffset"], "1");
  const zipped = await curl(
    "--compressed",
    "-H",
    "content-type: application/json",
    "-d",
    "{}",
    `${served.url}/log.v1.Log/Describe`,
  );
  assert.equal(zipped.out, rpc.out);
  const tail = await curl("-N", "--max-time", "10", `${served.url}/tail?from=start&limit=1&format=text`);
  assert.match(tail.out, /^retry: 2000\n\nid: 0\ndata: \{"offset":0,.*"text":"a"\}\n\nevent: end\n/);
});
