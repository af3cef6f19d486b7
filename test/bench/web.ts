/**
 * What browsers and curl get from one node: requests of a page of the same origin, JSON, tails over HTTP, and reads of one
 * record. The load generator is not the product's client.
 *
 *   npm run bench -- web                   all
 *   npm run bench -- web requests tails    some of the cases: requests, batches, tails, reads
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { ConsumeRequestSchema } from "../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../src/lib/envelope.ts";
import { prng } from "../../src/lib/prng.ts";
import { eventTails } from "./load/event-tails.ts";
import { grpcHeaders, headerBlock, type Target } from "./load/h2-client.ts";
import { http1Rate, postRequest } from "./load/http1.ts";
import { paths, produceManyJson, produceOne, produceOneJson } from "./load/messages.ts";
import { bulkRate } from "./load/produce.ts";
import { type Rate, requestRate } from "./load/requests.ts";
import { cpuSeconds, type ServerProcess, startScript, startServer } from "./load/server-process.ts";
import { median, report } from "./report.ts";

const [inFlight, requests, rounds] = [64, 40_000, 5];
const batchRecords = 640;
const loadedBytes = 2 * 2 ** 30;
/** An envelope has five bytes before the message, which Connect does not have. */
const produceOneProto = produceOne.subarray(5);

const originOf = ({ port }: ServerProcess): string => `http://127.0.0.1:${port}`;

/** The header block of a POST that a page of `origin` sends. */
const pageHeaders = (path: string, type: string, origin: string): Buffer =>
  headerBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", new URL(origin).host],
    ["content-type", type],
    ["origin", origin],
  ]);

/** Runs the kinds in turn, so that the load of the machine affects all alike. The first round warms up. */
async function compare(kinds: Readonly<Record<string, () => Promise<Rate>>>): Promise<Map<string, Rate>> {
  const found = new Map(Object.keys(kinds).map((name): [string, Rate[]] => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, measure] of Object.entries(kinds)) {
      const rate = await measure();
      if (round > 0) found.get(name)?.push(rate);
    }
  }
  const medians = [...found].map(([name, rates]): [string, Rate] => [
    name,
    {
      perSecond: median(rates.map(({ perSecond }) => perSecond)),
      longestMs: Math.max(...rates.map(({ longestMs }) => longestMs)),
    },
  ]);
  return new Map(medians);
}

const cases: Readonly<Record<string, (server: ServerProcess) => Promise<void>>> = {
  async requests(server) {
    const canned = await startScript("canned-http1.ts");
    const origin = originOf(server);
    const h1 = (path: string, type: string, body: Uint8Array, port = server.port) => {
      const request = postRequest(path, type, body, origin);
      return () => http1Rate(port, request, inFlight, requests);
    };
    const h2 = (path: string, type: string, body: Uint8Array) => {
      const headers = pageHeaders(path, type, origin);
      return () => requestRate(server, headers, () => body, inFlight, requests);
    };
    const json = "application/json";
    const limit = "canned node:http";
    const found = await compare({
      "Produce, application/proto, HTTP/1.1": h1(paths.produce, "application/proto", produceOneProto),
      "Produce, application/proto, HTTP/2": h2(paths.produce, "application/proto", produceOneProto),
      "Produce, Connect JSON, HTTP/1.1": h1(paths.produce, json, produceOneJson),
      "Produce, Connect JSON, HTTP/2": h2(paths.produce, json, produceOneJson),
      "POST /, HTTP/1.1": h1("/", json, produceOneJson),
      "POST /, HTTP/2": h2("/", json, produceOneJson),
      [limit]: h1("/", json, produceOneJson, canned.port),
    });
    await canned.stop();
    const most = found.get(limit)?.perSecond ?? Number.NaN;
    for (const [name, { perSecond, longestMs }] of found) {
      const bar = name.startsWith("POST") ? "0.9 of the limit" : name.includes("proto") ? "15,000" : "10,000";
      report({
        name,
        value: perSecond,
        unit: "req/s",
        ...(name === limit ? {} : { bar, ratio: { to: limit, value: perSecond / most } }),
        note: `longest ${longestMs.toFixed(0)} ms`,
      });
    }
  },

  async batches(server) {
    const body = produceManyJson(batchRecords);
    const headers = pageHeaders(paths.produceBatch, "application/json", originOf(server));
    const found = await compare({
      batches: () => requestRate(server, headers, () => body, 8, 1_000),
    });
    const { perSecond = Number.NaN, longestMs = 0 } = found.get("batches") ?? {};
    report({
      name: `ProduceBatch with JSON, 100 B × ${batchRecords}, HTTP/2`,
      value: perSecond * batchRecords,
      unit: "rec/s",
      bar: "250,000",
      note: `longest ${longestMs.toFixed(0)} ms`,
    });
  },

  async tails(server) {
    for (const [rate, bar] of [
      [200, "p99 50 ms"],
      [1_000, "60 % of a core"],
    ] as const) {
      const { delivered, cpuShare, p50Ms, p99Ms } = await eventTails(server, server.pid, 1_000, rate);
      report({
        name: `1,000 tails of server-sent events × ${rate}/s, HTTP/2`,
        value: delivered,
        unit: "rec/s",
        bar,
        note: `${(cpuShare * 100).toFixed(0)} % of a core, p50 ${p50Ms.toFixed(0)} ms, p99 ${p99Ms.toFixed(0)} ms`,
      });
    }
  },

  async reads(server) {
    const batches = Math.ceil(loadedBytes / (batchRecords * 104));
    await bulkRate(server, batchRecords, batches);
    const random = prng(1);
    await reportReads(server, `random Consume over 2 GiB, batches of ${batchRecords}`, () =>
      BigInt(random.between(0, batches * batchRecords - 1)),
    );
  },
};

/** Reads records one by one at offsets of `next`. */
async function reportReads(target: Target & { readonly pid: number }, name: string, next: () => bigint) {
  const headers = grpcHeaders(paths.consume);
  const body = (): Uint8Array =>
    encodeEnvelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { offset: next() })));
  const before = cpuSeconds(target.pid);
  const found = await compare({ reads: () => requestRate(target, headers, body, inFlight, requests) });
  const micros = ((cpuSeconds(target.pid) - before) * 1e6) / (requests * (rounds + 1));
  const { perSecond = Number.NaN, longestMs = 0 } = found.get("reads") ?? {};
  const note = `${micros.toFixed(0)} µs of processor time each, longest ${longestMs.toFixed(0)} ms`;
  report({ name, value: perSecond, unit: "req/s", bar: "20,000", note });
}

export async function run(only: readonly string[]): Promise<void> {
  for (const [name, measure] of Object.entries(cases)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const server = await startServer();
    try {
      await measure(server);
    } finally {
      await server.stop();
    }
  }
}
