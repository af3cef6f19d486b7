/**
 * Messages of unary Connect calls in JSON, with protobuf-es: the forms that json-append.ts does not read, and the other
 * methods. Checks, limits and errors are those of Connect's handlers.
 */
import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  createMethodSerializationLookup,
  type MethodSerializationLookup,
} from "@connectrpc/connect/protocol";
import { workTurns } from "../../../lib/time/work-turns.ts";
import type { RecordRun } from "../../../types.ts";
import { faultOfConnectError } from "../../connect/connect-error-mapping.ts";
import { jsonOptions } from "../../connect/json-options.ts";
import { sentBytesMax, uncheckedBytesMax } from "../../request-limits/message-limits.ts";
import { checkLargeMessage } from "../../request-limits/request-work.ts";
import type { FastPathContext } from "../fast-path-context.ts";

/** A request, and its records if they were taken out before it was decoded. */
export interface JsonRequest<Message> {
  readonly request: Message;
  readonly taken: RecordRun | undefined;
}

type Serialization<Method extends DescMethodUnary> = MethodSerializationLookup<
  Method["input"],
  Method["output"]
>;

/** Reads and writes the messages of one method. */
export class JsonMessages<Method extends DescMethodUnary> {
  readonly #method: Method;
  #serialization: Serialization<Method> | undefined;

  constructor(method: Method) {
    this.#method = method;
  }

  /**
   * Decodes a request, in turns of the event loop. `bytes` must not change.
   * @throws Fault "bad-request", "bad-record", "too-large"
   */
  async read(
    { clock, recordLimits }: Pick<FastPathContext, "clock" | "recordLimits">,
    bytes: Uint8Array,
  ): Promise<JsonRequest<MessageShape<Method["input"]>>> {
    const turns = workTurns(clock);
    let message = bytes;
    let taken: RecordRun | undefined;
    if (message.length > uncheckedBytesMax) {
      await turns.next();
      const check = { method: this.#method, isJson: true, recordLimits, clock };
      const checked = await checkLargeMessage(message, check);
      message = checked.message;
      taken = checked.taken;
    }
    await turns.next();
    return { request: this.#parse(message), taken };
  }

  #parse(message: Uint8Array): MessageShape<Method["input"]> {
    try {
      return this.#lookup.getI(false).parse(message) as MessageShape<Method["input"]>;
    } catch (reason) {
      throw faultOfConnectError(reason);
    }
  }

  /** Encodes a response. @throws ConnectError if it is too large to be sent */
  write(response: MessageInitShape<Method["output"]>): Uint8Array {
    return this.#lookup.getO(false).serialize(create(this.#method.output, response) as never);
  }

  /** Created with the first message, since most nodes get none. */
  get #lookup(): Serialization<Method> {
    const limits = {
      readMaxBytes: Number.MAX_SAFE_INTEGER,
      writeMaxBytes: sentBytesMax,
      compressMinBytes: 1024,
    };
    this.#serialization ??= createMethodSerializationLookup(this.#method, undefined, jsonOptions, limits);
    return this.#serialization;
  }
}
