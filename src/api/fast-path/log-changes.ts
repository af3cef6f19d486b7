/** The changes that programs make often: CreateLog, with a log for each session or device, and the commits of cursors. */
import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { Cursors, Logs } from "../../gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../lib/envelope.ts";
import { workTurns } from "../../lib/time/work-turns.ts";
import type { Call } from "../calls/call-tracker.ts";
import { commitCursor, commitMessage, wantedCommit } from "../methods/cursors/cursor-calls.ts";
import { type CreatePorts, createLog } from "../methods/logs/create-log.ts";
import type { LogDirectory } from "../methods/logs/log-directory.ts";
import { decodeMessage } from "./codec/decode-message.ts";
import { JsonMessages } from "./codec/json-message.ts";
import type { FastCall } from "./fast-call.ts";
import type { FastPathContext, ServeMethod } from "./fast-path-context.ts";
import { receiveUnary } from "./unary-message.ts";

type Work<Method extends DescMethodUnary> = (
  logs: LogDirectory,
  call: Call,
  request: MessageShape<Method["input"]>,
  ports: CreatePorts,
) => Promise<MessageInitShape<Method["output"]>>;

export const serveCreateLog = serveChange(Logs.method.createLog, createLog);

export const serveCommitCursor = serveChange(Cursors.method.commit, async (logs, call, request, ports) =>
  commitMessage(await commitCursor(logs, call, wantedCommit(request), ports)),
);

function serveChange<Method extends DescMethodUnary>(method: Method, work: Work<Method>): ServeMethod {
  const json = new JsonMessages(method);
  return (context, call, forward) => {
    const respond = async (request: MessageShape<Method["input"]>): Promise<void> => {
      const response = await changed(context, call, request, forward, work);
      if (response === undefined) return;
      if (call.request.isJson) call.finishBare(json.write(response));
      else call.finish(encodeEnvelope(toBinary(method.output, create(method.output, response))));
    };
    receiveUnary(call, context.requestBytesMax, (bytes, start, end) => {
      const message = bytes.subarray(start, end);
      const done = call.request.isJson
        ? json.read(context, message).then(({ request }) => respond(request))
        : respond(decodeMessage(method.input, message) as MessageShape<Method["input"]>);
      done.catch(call.failInTurn);
    });
  };
}

/** Returns the response, or undefined if the call has ended before the change began. */
async function changed<Method extends DescMethodUnary>(
  { logs, clock }: FastPathContext,
  call: FastCall,
  request: MessageShape<Method["input"]>,
  forward: boolean,
  work: Work<Method>,
): Promise<MessageInitShape<Method["output"]> | undefined> {
  // Hundreds of changes can arrive, and be committed, in one turn.
  const turns = workTurns(clock);
  await turns.next();
  if (call.over) return undefined;
  const response = await work(logs, call.tracked, request, {
    forward,
    signal: () => {
      const ended = new AbortController();
      call.onEnd = () => ended.abort();
      if (call.over) ended.abort();
      return ended.signal;
    },
    change: (begun) => {
      call.written = "unknown";
      return begun.finally(() => {
        call.written = "no";
      });
    },
  });
  await turns.next();
  return response;
}
