/**
 * What `tailrace bench` can do to a log. Each workload runs until told to stop and reports every call as it ends.
 *
 * Never: measures, decides how long.
 */
import { encodeRun, Fault, faultOf, type TailraceClient } from "../../client/mod.ts";

export interface LoadSettings {
  readonly recordBytes: number;
  /** Records in one call of the workload `batch`. */
  readonly batch: number;
  readonly inFlight: number;
}

/** What a workload tells as it goes. */
export interface Sink {
  /** Aborted when it is over: nothing new is begun, what is under way may end. */
  readonly signal: AbortSignal;
  now(): number;
  /** A call that began at `beganMs` was answered, for so many records with so many bytes of value. */
  done(beganMs: number, records: number, bytes: number): void;
  failed(fault: Fault): void;
}

export type Workload = (client: TailraceClient, settings: LoadSettings, sink: Sink) => Promise<void>;

/** One record a call, many calls under way. */
const unary: Workload = (client, { recordBytes, inFlight }, sink) => {
  const record = { value: valueBytes(recordBytes) };
  return lanes(inFlight, sink, async () => {
    await client.log.produce({ record });
    return { records: 1, bytes: recordBytes };
  });
};

/** Many records a call, each call atomic. */
const batch: Workload = async (client, { recordBytes, batch: count, inFlight }, sink) => {
  const run = encodeRun(Array.from({ length: count }, () => ({ value: valueBytes(recordBytes) })));
  const producer = client.producer({
    idempotent: false,
    lingerMs: 0,
    batchRecordsMax: count,
    inFlightMax: inFlight,
    queueBytesMax: run.bytes.length * inFlight + 1,
  });
  try {
    await lanes(inFlight, sink, async () => {
      await producer.append(run);
      return { records: count, bytes: count * recordBytes };
    });
  } finally {
    producer.close();
  }
};

/** One stream, one record a message, `inFlight` of them not yet acknowledged. */
const stream: Workload = async (client, { recordBytes, inFlight }, sink) => {
  const began: number[] = [];
  const records = function* () {
    const record = { value: valueBytes(recordBytes) };
    while (!sink.signal.aborted) {
      began.push(sink.now());
      yield record;
    }
  };
  for await (const _ of client.produceStream(records(), { window: inFlight })) {
    sink.done(began.shift() ?? sink.now(), 1, recordBytes);
  }
};

/** Reads from the lowest offset to the end, again and again, each batch checked; a call is one batch. */
const consume: Workload = async (client, _settings, sink) => {
  const log = client.commitLog;
  const { lowest, next } = await log.bounds({ mode: "any" });
  if (next === lowest)
    throw new Fault("failed-precondition", { message: "there is nothing in the log to read" });
  while (!sink.signal.aborted) {
    using tail = log.follow(lowest);
    while (tail.position < next && !sink.signal.aborted) {
      const beganMs = sink.now();
      const { position } = tail;
      let slice = tail.take();
      if (slice === undefined) {
        if (!(await tail.ready())) return;
        slice = tail.take();
      }
      if (slice !== undefined) sink.done(beganMs, slice.nextOffset - position, slice.frames.length);
    }
  }
};

export const workloads = { unary, batch, stream, consume } as const satisfies Record<string, Workload>;
export type WorkloadName = keyof typeof workloads;

/** So many callers, each of which calls again when it was answered. */
async function lanes(
  count: number,
  sink: Sink,
  call: () => Promise<{ readonly records: number; readonly bytes: number }>,
): Promise<void> {
  const lane = async (): Promise<void> => {
    let failures = 0;
    while (!sink.signal.aborted) {
      const beganMs = sink.now();
      try {
        const { records, bytes } = await call();
        sink.done(beganMs, records, bytes);
        failures = 0;
      } catch (reason) {
        const fault = faultOf(reason);
        sink.failed(fault);
        // A fault that will not pass, or passes too slowly, is the result; a few are weather and are counted.
        if (!(fault.retry || fault.written === "unknown") || ++failures > 20) throw fault;
      }
    }
  };
  await Promise.all(Array.from({ length: count }, lane));
}

function valueBytes(bytes: number): Uint8Array {
  // Not all the same byte, so that whatever compresses on the way has no easy time.
  return Uint8Array.from({ length: bytes }, (_, at) => (at * 167 + (at >> 3)) & 0xff);
}
