/** CreateLog: the one call about logs that programs make often, with a log for each session or device. */
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type CreateLogRequest,
  CreateLogRequestSchema,
  CreateLogResponseSchema,
  Logs,
} from "../../gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../lib/envelope.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import { createLog } from "../methods/logs/create-log.ts";
import { decodeMessage } from "./codec/decode-message.ts";
import { JsonMessages } from "./codec/json-message.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { receiveUnary } from "./unary-message.ts";

const json = new JsonMessages(Logs.method.createLog);

export const serveCreateLog: ServeMethod = (context, call, forward) => {
  receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
    const message = bytes.subarray(start, end);
    const work = call.request.isJson
      ? json.read(context, message).then(({ request }) => respond(context, call, request, forward))
      : respond(context, call, decodeMessage(CreateLogRequestSchema, message), forward);
    work.catch(call.failInTurn);
  });
};

async function respond(
  { logs, clock }: FastPathContext,
  call: FastCall,
  request: CreateLogRequest,
  forward: boolean,
): Promise<void> {
  // Hundreds of creates can arrive, and be committed, in one turn.
  const turns = workTurns(clock);
  await turns.next();
  if (call.over) return;
  const response = await createLog(logs, call.tracked, request, {
    forward,
    signal: () => {
      const ended = new AbortController();
      call.onEnd = () => ended.abort();
      if (call.over) ended.abort();
      return ended.signal;
    },
    change: (work) => {
      call.written = "unknown";
      return work.finally(() => {
        call.written = "no";
      });
    },
  });
  await turns.next();
  if (call.request.isJson) {
    call.finishBare(json.write(response));
    return;
  }
  call.finish(encodeEnvelope(toBinary(CreateLogResponseSchema, create(CreateLogResponseSchema, response))));
}
