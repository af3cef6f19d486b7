/** The workloads of `tailrace bench`. Each one runs until its signal is aborted, and reports every call. */
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeRun, Fault, faultOf, type LogClient, type TailraceClient } from "../../client/mod.ts";
import { produceBatchRequest } from "../../client/raw-batches.ts";
import { ProduceBatchRequestSchema, ProduceRequestSchema } from "../../gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../lib/envelope.ts";
import { systemClock, type Timer } from "../../lib/time/clock.ts";
import { messageCounter } from "./message-counter.ts";
import { RawCalls } from "./raw-calls.ts";
import { callHeaders, type RawTarget } from "./raw-connection.ts";

export interface LoadSettings {
  readonly recordBytes: number;
  /** Records in one call of the workload `batch`. */
  readonly batch: number;
  readonly inFlight: number;
}

/** What a workload reports to. */
export interface CallRecorder {
  /** Is aborted at the end. No new call is made; calls in flight may finish. */
  readonly signal: AbortSignal;
  now(): number;
  /** Records a call that began at `beganMs`, with the number of its records and the bytes of their values. */
  done(beganMs: number, records: number, bytes: number): void;
  failed(fault: Fault): void;
}

/** The log under load. `rpc` is that of its client. */
export interface BenchTarget {
  readonly rpc: TailraceClient["rpc"];
  readonly log: LogClient;
  /** For gRPC: connections on which appends cost little. Absent for the other protocols, whose appends use the client library. */
  readonly raw: RawTarget | undefined;
}

export type Workload = (target: BenchTarget, settings: LoadSettings, recorder: CallRecorder) => Promise<void>;

/** One record per call, many calls in flight. */
const unary: Workload = async ({ rpc, log, raw }, { recordBytes, inFlight }, recorder) => {
  const request = { ...(await log.pinned()), record: { value: valueBytes(recordBytes) } };
  const counted = { records: 1, bytes: recordBytes };
  if (raw !== undefined) {
    const body = toBinary(ProduceRequestSchema, create(ProduceRequestSchema, request));
    return appendRaw(raw, "Produce", body, inFlight, recorder, counted);
  }
  await runWorkers(inFlight, recorder, async () => {
    await rpc.log.produce(request);
    return counted;
  });
};

/** Many records per call. Each call is atomic. */
const batch: Workload = async ({ log, raw }, { recordBytes, batch: count, inFlight }, recorder) => {
  const run = encodeRun(Array.from({ length: count }, () => ({ value: valueBytes(recordBytes) })));
  const counted = { records: count, bytes: count * recordBytes };
  if (raw !== undefined) {
    const request = produceBatchRequest(run, undefined, undefined, await log.pinned());
    const body = toBinary(ProduceBatchRequestSchema, request);
    return appendRaw(raw, "ProduceBatch", body, inFlight, recorder, counted);
  }
  const producer = log.producer({
    idempotent: false,
    lingerMs: 0,
    batchRecordsMax: count,
    inFlightMax: inFlight,
    queueBytesMax: run.bytes.length * inFlight + 1,
  });
  try {
    await runWorkers(inFlight, recorder, async () => {
      await producer.append(run);
      return counted;
    });
  } finally {
    producer.close();
  }
};

/** One stream with one record per message and up to `inFlight` unacknowledged records. */
const stream: Workload = async ({ log, raw }, { recordBytes, inFlight }, recorder) => {
  const record = { value: valueBytes(recordBytes) };
  if (raw !== undefined) {
    const request = create(ProduceRequestSchema, { ...(await log.pinned()), record });
    return streamRaw(raw, toBinary(ProduceRequestSchema, request), inFlight, recorder, recordBytes);
  }
  const began: number[] = [];
  const records = function* () {
    while (!recorder.signal.aborted) {
      began.push(recorder.now());
      yield record;
    }
  };
  for await (const _ of log.produceStream(records(), { window: inFlight })) {
    recorder.done(began.shift() ?? recorder.now(), 1, recordBytes);
  }
};

/** Reads from the lowest offset to the end, repeatedly, and checks each batch. A call is one batch. */
const consume: Workload = async ({ log }, _settings, recorder) => {
  const { lowest, next } = await log.bounds({ mode: "any" });
  if (next === lowest)
    throw new Fault("failed-precondition", { message: "the log is empty, there is nothing to read" });
  while (!recorder.signal.aborted) {
    using tail = log.follow(lowest);
    while (tail.position < next && !recorder.signal.aborted) {
      const beganMs = recorder.now();
      const { position } = tail;
      let slice = tail.take();
      if (slice === undefined) {
        if (!(await tail.ready())) return;
        slice = tail.take();
      }
      if (slice !== undefined) recorder.done(beganMs, slice.nextOffset - position, slice.frames.length);
    }
  }
};

export const workloads = { unary, batch, stream, consume } as const satisfies Record<string, Workload>;
export type WorkloadName = keyof typeof workloads;

/** What one call appends. */
interface Counted {
  readonly records: number;
  readonly bytes: number;
}

/** How long calls in flight may take after the end, in milliseconds. */
const lastCallsMs = 10_000;

/** Closes when the workload does not end by itself. Returns the function that ends the waiting. */
function closeLate(recorder: CallRecorder, close: () => void): () => void {
  let timer: Timer | undefined;
  const onEnd = (): void => {
    timer = systemClock.after(lastCallsMs, close, true);
  };
  recorder.signal.addEventListener("abort", onEnd, { once: true });
  return () => {
    recorder.signal.removeEventListener("abort", onEnd);
    timer?.cancel();
  };
}

/** Makes the same call with the request `body` again and again. */
async function appendRaw(
  raw: RawTarget,
  method: string,
  body: Uint8Array,
  inFlight: number,
  recorder: CallRecorder,
  counted: Counted,
): Promise<void> {
  const calls = new RawCalls(raw);
  const headers = callHeaders(method, raw);
  const message = encodeEnvelope(body);
  const settle = closeLate(recorder, () => calls.close());
  try {
    await runWorkers(inFlight, recorder, async (worker) => {
      await calls.call(worker, headers, message);
      return counted;
    });
  } finally {
    settle();
    calls.close();
  }
}

/** Messages that are written at once. */
const burst = 128;

/** Sends the message `body` on one stream, with up to `window` unacknowledged. */
async function streamRaw(
  raw: RawTarget,
  body: Uint8Array,
  window: number,
  recorder: CallRecorder,
  recordBytes: number,
): Promise<void> {
  const calls = new RawCalls(raw);
  const message = encodeEnvelope(body);
  const messages = Buffer.concat(Array.from({ length: Math.min(burst, window) }, () => message));
  const settle = closeLate(recorder, () => calls.close());
  try {
    const connection = await calls.connection(0);
    const fault = await new Promise<Fault | undefined>((onEnd) => {
      const began = new Float64Array(window);
      let [sent, acked] = [0, 0];
      let isEnding = false;
      const countAcks = messageCounter();
      const feed = (): void => {
        while (!isEnding && connection.isDrained(id)) {
          isEnding = recorder.signal.aborted;
          const count = isEnding ? 0 : Math.min(burst, window - (sent - acked));
          if (count === 0 && !isEnding) return;
          const nowMs = recorder.now();
          for (let n = 0; n < count; n++) began[sent++ % window] = nowMs;
          connection.write(id, messages.subarray(0, count * message.length), isEnding);
        }
      };
      const onData = (bytes: Uint8Array): void => {
        for (let n = countAcks(bytes); n > 0; n--) recorder.done(began[acked++ % window]!, 1, recordBytes);
        feed();
      };
      const id = connection.start(callHeaders("ProduceStream", raw), undefined, { onData, onEnd });
      feed();
    });
    if (fault !== undefined) throw fault;
  } finally {
    settle();
    calls.close();
  }
}

/** Runs `count` workers. Each makes its next call when the previous one has returned. */
async function runWorkers(
  count: number,
  recorder: CallRecorder,
  call: (worker: number) => Promise<Counted>,
): Promise<void> {
  const work = async (worker: number): Promise<void> => {
    let failures = 0;
    while (!recorder.signal.aborted) {
      const beganMs = recorder.now();
      try {
        const { records, bytes } = await call(worker);
        recorder.done(beganMs, records, bytes);
        failures = 0;
      } catch (reason) {
        const fault = faultOf(reason);
        recorder.failed(fault);
        // Temporary faults are counted. A permanent one, or more than 20 in a row, end the workload.
        if (!(fault.retry || fault.written === "unknown") || ++failures > 20) throw fault;
      }
    }
  };
  await Promise.all(Array.from({ length: count }, (_, worker) => work(worker)));
}

function valueBytes(bytes: number): Uint8Array {
  // Different bytes, so that compression on the way has little effect.
  return Uint8Array.from({ length: bytes }, (_, at) => (at * 167 + (at >> 3)) & 0xff);
}
