/**
 * A collector for OTLP over gRPC, served by grpc-js, that keeps the spans and the names of the metrics it gets. Set
 * OTEL_EXPORTER_OTLP_ENDPOINT to `url` and OTEL_EXPORTER_OTLP_PROTOCOL to grpc.
 *
 * It reads the fields that tests need directly from protobuf's wire format, by the field numbers of
 * opentelemetry/proto/trace/v1/trace.proto and metrics/v1/metrics.proto.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js";

export interface GrpcSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
}

export interface GrpcCollector extends AsyncDisposable {
  readonly url: string;
  readonly spans: GrpcSpan[];
  readonly metricNames: Set<string>;
  /** All messages as they arrived. */
  readonly messages: Buffer[];
}

export async function openGrpcCollector(): Promise<GrpcCollector> {
  const spans: GrpcSpan[] = [];
  const metricNames = new Set<string>();
  const messages: Buffer[] = [];
  const server = new Server();
  const receive = (service: string, take: (message: Buffer) => void): void => {
    server.register(
      `/opentelemetry.proto.collector.${service}/Export`,
      (call: { request: Buffer }, answer: (error: null, message: Buffer) => void) => {
        messages.push(call.request);
        take(call.request);
        answer(null, Buffer.alloc(0)); // An Export…Response without a partial success.
      },
      (message: Buffer) => message,
      (message: Buffer) => message,
      "unary",
    );
  };
  // Export…Request.resource_… = 1, Resource….scope_… = 2, Scope….(spans | metrics) = 2.
  receive("trace.v1.TraceService", (message) => {
    for (const span of messagesAt(message, 1, 2, 2)) spans.push(spanOf(span));
  });
  receive("metrics.v1.MetricsService", (message) => {
    for (const metric of messagesAt(message, 1, 2, 2)) metricNames.add(String(bytesAt(metric, 1)));
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    metricNames,
    messages,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

const spanOf = (span: Buffer): GrpcSpan => ({
  traceId: bytesAt(span, 1).toString("hex"),
  spanId: bytesAt(span, 2).toString("hex"),
  parentSpanId: bytesAt(span, 4).toString("hex"),
  name: String(bytesAt(span, 5)),
  kind: numberAt(span, 6),
});

/** The messages at this path of field numbers, each field repeated or not. */
function messagesAt(message: Buffer, ...path: readonly number[]): Buffer[] {
  let found = [message];
  for (const number of path) {
    found = found.flatMap((one) =>
      [...fields(one)].flatMap(([at, value]) => (at === number && typeof value !== "number" ? [value] : [])),
    );
  }
  return found;
}

const bytesAt = (message: Buffer, number: number): Buffer =>
  messagesAt(message, number)[0] ?? Buffer.alloc(0);

function numberAt(message: Buffer, number: number): number {
  for (const [at, value] of fields(message)) if (at === number && typeof value === "number") return value;
  return 0;
}

/** Field number and value of each field: a number for varints and fixed widths, else the bytes. */
function* fields(message: Buffer): Generator<[number, Buffer | number]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message.readUInt8(at++);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const [number, wire] = [tag >>> 3, tag & 7];
    if (wire === 0) yield [number, varint()];
    else {
      const length = wire === 2 ? varint() : wire === 1 ? 8 : 4;
      const value = message.subarray(at, at + length);
      at += length;
      yield [number, wire === 2 ? value : 0];
    }
  }
}
