/** The grpc-web client of Google: unary in binary mode, server streams in text mode. It has no client streams. */
import assert from "node:assert/strict";
import { before, suite, test } from "node:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import grpcWeb from "grpc-web";
import { createFastPath } from "../../../src/api/mod.ts";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { type ServeOptions, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";
import { Xhr } from "./xhr.ts";

interface Method<I extends DescMessage, O extends DescMessage> {
  readonly input: I;
  readonly output: O;
  readonly name: string;
}

function descriptor<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  type: "unary" | "server_streaming",
) {
  // The client only passes the messages to these two functions.
  const Any = Object as never;
  return new grpcWeb.MethodDescriptor<MessageInitShape<I>, MessageShape<O>>(
    `/log.v1.Log/${method.name}`,
    type,
    Any,
    Any,
    (message: MessageInitShape<I>) => toBinary(method.input, create(method.input, message)),
    (bytes: Uint8Array) => fromBinary(method.output, new Uint8Array(bytes)),
  );
}

before(() => {
  (globalThis as { XMLHttpRequest?: unknown }).XMLHttpRequest = Xhr;
});

const handlers: Readonly<Record<string, ServeOptions>> = {
  reference: {},
  "fast path": { fastPath: createFastPath },
};
for (const [handler, options] of Object.entries(handlers)) {
  suite(`grpc-web, ${handler}`, () => {
    for (const format of ["binary", "text"]) {
      test(`unary calls in ${format} mode, and an error with its code and message`, async () => {
        await using served = await serve(options);
        const client = new grpcWeb.GrpcWebClientBase({ format });
        const call = <I extends DescMessage, O extends DescMessage>(
          method: Method<I, O>,
          message: MessageInitShape<I>,
        ): Promise<MessageShape<O>> =>
          new Promise((resolve, reject) => {
            const url = `${served.url}/log.v1.Log/${method.name}`;
            client.rpcCall(url, message, {}, descriptor(method, "unary"), (error, answer) =>
              error === null ? resolve(answer) : reject(error),
            );
          });
        assert.equal((await call(Log.method.produce, { record: { value: Buffer.from("a") } })).offset, 0n);
        assert.equal(
          (await call(Log.method.produce, { record: { value: Buffer.alloc(10_000, "b") } })).offset,
          1n,
        );
        const { record } = await call(Log.method.consume, { offset: 1n });
        assert.equal(record?.value.length, 10_000);
        const error = (await call(Log.method.consume, { offset: 9n }).catch(
          (reason: unknown) => reason,
        )) as grpcWeb.RpcError;
        assert.equal(error.code, 11);
        assert.equal(error.message, "the offset is not in the log");
      });
    }

    test("a server stream in text mode, which ends when it is cancelled", async () => {
      await using served = await serve(options);
      const client = new grpcWeb.GrpcWebClientBase({ format: "text" });
      for (let at = 0; at < 5; at++)
        await served.log.append({ bytes: Uint8Array.of(0x0a, 3, 0x0a, 1, 97 + at), count: 1 });
      const stream = client.serverStreaming(
        `${served.url}/log.v1.Log/ConsumeStream`,
        {},
        {},
        descriptor(Log.method.consumeStream, "server_streaming"),
      );
      const values: string[] = [];
      await new Promise<void>((resolve, reject) => {
        stream.on("error", reject);
        stream.on("data", (response) => {
          const { record } = response as MessageShape<typeof Log.method.consumeStream.output>;
          values.push(Buffer.from(record?.value ?? []).toString());
          if (values.length === 5)
            void served.log.append({ bytes: Uint8Array.of(0x0a, 3, 0x0a, 1, 122), count: 1 });
          if (values.length === 6) resolve();
        });
      });
      assert.deepEqual(values, ["a", "b", "c", "d", "e", "z"]);
      stream.cancel();
      await until("the tail is closed", () => served.log.openTails === 0);
    });
  });
}
