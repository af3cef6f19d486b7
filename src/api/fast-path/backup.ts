/**
 * Backup: the files of a backup, part by part. Their bytes are sent as they were read, without a copy.
 *
 *   BackupResponse := file=1  position=2  file_bytes=3  data=4  crc32=5        a zero is omitted, as in protobuf
 */
import { type BackupRequest, BackupRequestSchema } from "../../gen/log/v1/log_pb.js";
import { varintBytes, writeU32le, writeVarint } from "../../lib/bytes.ts";
import { crc32 } from "../../lib/checksum.ts";
import { envelopeBytes, writeEnvelopeHead } from "../../lib/envelope.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import { afterOf, type BackupPart } from "../methods/admin-operations.ts";
import { decodeMessage } from "./codec/decode-message.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { receiveUnary } from "./unary-message.ts";

const tags = { file: 0x0a, position: 0x10, fileBytes: 0x18, data: 0x22, crc32: 0x2d } as const;
const crcFieldBytes = 5;

export const serveBackup: ServeMethod = (context, call) => {
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    const request = decodeMessage(BackupRequestSchema, bytes.subarray(start, end));
    send(context, call, request).catch((reason: unknown) => call.fail(reason));
  });
};

async function send(
  { backup, clock }: FastPathContext,
  call: FastCall,
  request: BackupRequest,
): Promise<void> {
  let wake = (): void => undefined;
  call.onEnd = call.stream.onDrain = () => wake();
  for (const part of backup!(request.have, afterOf(request))) {
    if (part === undefined) await turn(clock);
    else if (!sendPart(call, part))
      await new Promise<void>((resolve) => {
        if (call.over) resolve();
        else wake = resolve;
      });
    else await workTurns(clock).next();
    if (call.over) return;
  }
  call.end();
}

const turn = (clock: Clock): Promise<void> => new Promise((resolve) => clock.soon(resolve));

/** Returns false if the stream has enough for now. */
function sendPart({ response, tracked }: FastCall, part: BackupPart): boolean {
  const { data } = part;
  tracked.bytesOut += data.length;
  const [head, end] = around(part);
  let goesOn = response.write(head);
  if (data.length > 0) goesOn = response.write(data);
  return end.length === 0 ? goesOn : response.write(end);
}

/** Returns the message of a part in its envelope: the bytes before its data, and those behind. */
function around({ file, position, fileBytes, data }: BackupPart): readonly [Uint8Array, Uint8Array] {
  const name = Buffer.from(file);
  const crc = crc32(data);
  const end = new Uint8Array(crc === 0 ? 0 : crcFieldBytes);
  if (crc !== 0) {
    end[0] = tags.crc32;
    writeU32le(end, 1, crc);
  }
  const numbers = [
    [tags.position, position],
    [tags.fileBytes, fileBytes],
    [tags.data, data.length],
  ] as const;
  const bytesMax = numbers.reduce((sum, [, value]) => sum + 1 + varintBytes(value), name.length + 6);
  const head = new Uint8Array(envelopeBytes + bytesMax);
  let at: number = envelopeBytes;
  if (name.length > 0) {
    head[at] = tags.file;
    at = writeVarint(head, at + 1, name.length);
    head.set(name, at);
    at += name.length;
  }
  for (const [tag, value] of numbers) {
    if (value === 0) continue;
    head[at] = tag;
    at = writeVarint(head, at + 1, value);
  }
  writeEnvelopeHead(head, 0, at + data.length + end.length);
  return [head.subarray(0, at), end];
}
