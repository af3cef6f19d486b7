/** The workloads of `tailrace bench`. Each one runs until its signal is aborted, and reports every call. */
import { encodeRun, Fault, faultOf, type LogClient, type TailraceClient } from "../../client/mod.ts";

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
}

export type Workload = (target: BenchTarget, settings: LoadSettings, recorder: CallRecorder) => Promise<void>;

/** One record per call, many calls in flight. */
const unary: Workload = async ({ rpc, log }, { recordBytes, inFlight }, recorder) => {
  const request = { ...(await log.pinned()), record: { value: valueBytes(recordBytes) } };
  await runWorkers(inFlight, recorder, async () => {
    await rpc.log.produce(request);
    return { records: 1, bytes: recordBytes };
  });
};

/** Many records per call. Each call is atomic. */
const batch: Workload = async ({ log }, { recordBytes, batch: count, inFlight }, recorder) => {
  const run = encodeRun(Array.from({ length: count }, () => ({ value: valueBytes(recordBytes) })));
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
      return { records: count, bytes: count * recordBytes };
    });
  } finally {
    producer.close();
  }
};

/** One stream with one record per message and up to `inFlight` unacknowledged records. */
const stream: Workload = async ({ log }, { recordBytes, inFlight }, recorder) => {
  const began: number[] = [];
  const records = function* () {
    const record = { value: valueBytes(recordBytes) };
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

/** Runs `count` workers. Each makes its next call when the previous one has returned. */
async function runWorkers(
  count: number,
  recorder: CallRecorder,
  call: () => Promise<{ readonly records: number; readonly bytes: number }>,
): Promise<void> {
  const worker = async (): Promise<void> => {
    let failures = 0;
    while (!recorder.signal.aborted) {
      const beganMs = recorder.now();
      try {
        const { records, bytes } = await call();
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
  await Promise.all(Array.from({ length: count }, worker));
}

function valueBytes(bytes: number): Uint8Array {
  // Different bytes, so that compression on the way has little effect.
  return Uint8Array.from({ length: bytes }, (_, at) => (at * 167 + (at >> 3)) & 0xff);
}
