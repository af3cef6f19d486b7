/**
 * With OTEL_* set, spans and metrics reach a collector, and every span belongs to the caller's trace.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import * as otel from "@opentelemetry/api";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { clientInterceptor } from "../../../src/telemetry/client-interceptor.ts";
import { openTelemetry } from "../../../src/telemetry/mod.ts";
import { parseTraceparent } from "../../../src/telemetry/trace-context.ts";
import { openCollector } from "../../support/telemetry/otlp-collector.ts";

const silent = () => new Writable({ write: (_chunk, _encoding, done) => done() });
const traceId = "0af7651916cd43dd8448eb211c80319c";
const callersSpan = "b7ad6b7169203331";

test("spans and metrics reach the collector, and the spans of client, server and disk belong to the caller's trace", async () => {
  await using collector = await openCollector();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_SERVICE_NAME: "tailrace-test",
  };
  Object.assign(process.env, env); // The SDK reads the process's own.
  {
    await using telemetry = await openTelemetry({ version: "1", env, destination: silent() });
    const { tracer } = telemetry;
    const transport = createRouterTransport(
      ({ service }) => {
        service(Log, {
          produce(_request, context) {
            const call = telemetry.begin({
              method: "log.v1.Log/Produce",
              protocol: "connect",
              subject: "root",
              peer: "127.0.0.1:5000",
              traceparent: context.requestHeader.get("traceparent") ?? undefined,
            });
            const append = tracer.span("append", { parent: call.traceparent });
            tracer
              .span("fsync", { parent: append.traceparent, links: [`00-${traceId}-${callersSpan}-01`] })
              .end();
            append.end();
            call.end("ok", 10, 2);
            return { offset: 7n };
          },
          consume() {
            throw new ConnectError("none there", Code.OutOfRange);
          },
          async *consumeStream() {
            yield { record: { value: new Uint8Array([1]) } };
            throw new ConnectError("gone", Code.Unavailable);
          },
        });
      },
      {
        transport: {
          interceptors: [clientInterceptor({ protocol: "connect" })],
        },
      },
    );
    const client = createClient(Log, transport);
    await client.produce({}, { headers: { traceparent: `00-${traceId}-${callersSpan}-01` } });
    await otel.trace.getTracer("program").startActiveSpan("a program's work", async (span) => {
      await assert.rejects(client.consume({ offset: 5n }));
      span.end();
    });
    await assert.rejects(async () => {
      for await (const _ of client.consumeStream({}));
    });
  }

  const named = (name: string, kind: number) =>
    collector.spans.find((span) => span.name === name && span.kind === kind);
  const client = named("log.v1.Log/Produce", 3);
  const server = named("log.v1.Log/Produce", 2);
  const append = named("append", 1);
  const fsync = named("fsync", 1);
  assert.deepEqual(
    [client, server, append, fsync].map((span) => span?.traceId),
    Array(4).fill(traceId),
  );
  assert.equal(client?.parentSpanId, callersSpan);
  assert.equal(server?.parentSpanId, client?.spanId);
  assert.equal(append?.parentSpanId, server?.spanId);
  assert.equal(fsync?.parentSpanId, append?.spanId);
  assert.equal(fsync?.links[0]?.spanId, callersSpan);
  assert.equal(server?.service, "tailrace-test");
  assert.equal(server?.attributes["rpc.method"], "log.v1.Log/Produce");
  assert.equal(server?.attributes["rpc.system.name"], "connectrpc");
  assert.equal(server?.attributes["rpc.status_code"], "ok");
  assert.equal(server?.attributes["network.peer.address"], "127.0.0.1");
  assert.equal(server?.status, 0);

  const consume = named("log.v1.Log/Consume", 3);
  assert.equal(consume?.attributes["rpc.status_code"], "out_of_range");
  assert.equal(consume?.parentSpanId, named("a program's work", 1)?.spanId, "below the span that was active");
  assert.equal(consume?.status, 2, "to the client it is an error");
  assert.equal(named("log.v1.Log/ConsumeStream", 3)?.attributes["rpc.status_code"], "unavailable");

  const duration = collector.metrics.get("rpc.server.call.duration");
  assert.equal(duration?.unit, "s");
  assert.equal(duration?.points[0]?.count, 1);
  assert.equal(duration?.points[0]?.attributes["rpc.method"], "log.v1.Log/Produce");
  assert.equal(collector.metrics.get("rpc.client.call.duration")?.points.length, 3);
  assert.ok((collector.metrics.get("process.memory.usage")?.points[0]?.value ?? 0) > 1e6);
});

test("an unsampled call is not exported, and its trace context is passed on", async () => {
  await using collector = await openCollector();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
  Object.assign(process.env, env);
  {
    await using telemetry = await openTelemetry({ version: "1", env, destination: silent() });
    const start = { method: "a/b", protocol: "grpc", subject: "s", peer: "p" } as const;
    const call = telemetry.begin({ ...start, traceparent: `00-${traceId}-${callersSpan}-00` });
    assert.equal(parseTraceparent(call.traceparent)?.traceId, traceId);
    assert.equal(parseTraceparent(call.traceparent)?.traceFlags, 0);
    call.end("ok", 0, 0);
    telemetry.begin(start).end("ok", 0, 0);
  }
  assert.equal(collector.spans.length, 1);
  assert.notEqual(collector.spans[0]?.traceId, traceId);
});

test("OTLP is protobuf by default, for both signals", async () => {
  await using collector = await openCollector();
  delete process.env["OTEL_EXPORTER_OTLP_PROTOCOL"];
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  Object.assign(process.env, env);
  {
    await using telemetry = await openTelemetry({ version: "1", env, destination: silent() });
    telemetry.begin({ method: "a/b", protocol: "grpc", subject: "s", peer: "p" }).end("ok", 0, 0);
  }
  assert.deepEqual(collector.requests.sort(), [
    "/v1/metrics application/x-protobuf",
    "/v1/traces application/x-protobuf",
  ]);
});

test("a collector that never answers does not keep the node from stopping", {
  timeout: 300_000,
}, async () => {
  const silentServer = createServer(() => {});
  silentServer.listen(0, "127.0.0.1");
  await once(silentServer, "listening");
  const { port } = silentServer.address() as AddressInfo;
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  Object.assign(process.env, env);
  let text = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  {
    await using telemetry = await openTelemetry({ version: "1", env, destination, format: "json" });
    telemetry.begin({ method: "a/b", protocol: "grpc", subject: "s", peer: "p" }).end("ok", 0, 0);
  }
  silentServer.closeAllConnections();
  silentServer.close();
  assert.match(text, /telemetry was not flushed/);
});
