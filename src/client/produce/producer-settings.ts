/** The settings of a producer, checked and completed with their defaults. */
import { Fault } from "../../fault.ts";
import { type ClientLimits, runBytesMax } from "../limits.ts";
import { optionsOf } from "../options.ts";
import type { BatcherSettings } from "./batcher-types.ts";

export interface ProducerSettings {
  /**
   * Producer id, from 0n to 2^64 − 1. Default: random. A cluster stores 1,000 ids of a subject for a week, so an
   * application that starts often should use its own id, with a higher epoch on each start.
   */
  readonly id?: bigint;
  /** Epoch, from 0 to 2^32 − 1. Default 0. A higher epoch fences all producers with the same id and a lower one. */
  readonly epoch?: number;
  /** Whether batches have sequences, so that a batch with an unknown outcome can be retried. Default true. */
  readonly idempotent?: boolean;
  /** How long a batch waits for more records, in milliseconds, from 0 to 60,000. Default 1. */
  readonly lingerMs?: number;
  /** Records in one batch, from 1 to 65,536. Default 10,000. */
  readonly batchRecordsMax?: number;
  /** Bytes in one batch, from 1 to 3.875 MiB. Default 1 MiB. */
  readonly batchBytesMax?: number;
  /**
   * Batches in flight. With `idempotent` from 1 to 5 (a node stores the results of five), default 5. Without it from 1
   * to 1,024, default 1, which keeps the order.
   */
  readonly inFlightMax?: number;
  /** Bytes that are queued or in flight. Default: `queueBytesMax` of the client, 32 MiB. */
  readonly queueBytesMax?: number;
  /** How long a record is tried, in milliseconds. Default: `callMs` of the client, 30,000. */
  readonly deliveryMs?: number;
}

/**
 * Returns the settings of the batcher.
 * @throws Fault "config" for a value that is out of range, "bad-request" if `given` is not an object
 */
export function batcherSettingsOf(
  given: ProducerSettings,
  limits: ClientLimits,
  drawId: () => bigint,
): BatcherSettings {
  const settings = optionsOf<ProducerSettings>(given);
  const { idempotent = true, lingerMs = 1, batchRecordsMax = 10_000, batchBytesMax = 1024 * 1024 } = settings;
  const inFlightMax = settings.inFlightMax ?? (idempotent ? 5 : 1);
  const queueBytesMax = settings.queueBytesMax ?? limits.queueBytesMax;
  const deliveryMs = settings.deliveryMs ?? limits.callMs;
  return {
    recordsMax: checkedInteger("batchRecordsMax", batchRecordsMax, 1, 65_536),
    bytesMax: checkedInteger("batchBytesMax", batchBytesMax, 1, runBytesMax),
    lingerMs: checkedNumber("lingerMs", lingerMs, 0, 60_000),
    inFlightMax: checkedInteger("inFlightMax", inFlightMax, 1, idempotent ? 5 : 1024),
    queueBytesMax: checkedNumber("queueBytesMax", queueBytesMax, 1, 2 ** 40),
    deliveryMs: checkedNumber("deliveryMs", deliveryMs, 1, 2 ** 40),
    producer: idempotent ? checkedProducer(settings.id ?? drawId(), settings.epoch ?? 0) : undefined,
  };
}

function checkedProducer(id: bigint, epoch: number): { readonly id: bigint; readonly epoch: number } {
  if (typeof id !== "bigint" || id < 0n || id >= 2n ** 64n) {
    throw new Fault("config", { message: `id must be a bigint from 0n to 2^64 − 1, not ${String(id)}` });
  }
  return { id, epoch: checkedInteger("epoch", epoch, 0, 2 ** 32 - 1) };
}

function checkedNumber(name: string, value: number, low: number, high: number): number {
  if (typeof value === "number" && value >= low && value <= high) return value;
  throw new Fault("config", {
    message: `${name} must be a number from ${low} to ${high}, not ${String(value)}`,
  });
}

function checkedInteger(name: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(checkedNumber(name, value, low, high))) {
    throw new Fault("config", { message: `${name} must be a whole number, not ${value}` });
  }
  return value;
}
