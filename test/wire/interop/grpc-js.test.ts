/** @grpc/grpc-js, the gRPC library of Google for Node.js: unary, all kinds of streams, deadlines, cancel, details, metadata. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { createFastPath } from "../../../src/api/mod.ts";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../src/gen/google/rpc/status_pb.js";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from "../../../src/gen/grpc/health/v1/health_pb.js";
import { Cluster, Log } from "../../../src/gen/log/v1/log_pb.js";
import { type ServeOptions, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";

const writes =
  <T extends DescMessage>(schema: T) =>
  (message: MessageInitShape<T>): Buffer =>
    Buffer.from(toBinary(schema, create(schema, message)));
const reads =
  <T extends DescMessage>(schema: T) =>
  (bytes: Buffer): MessageShape<T> =>
    fromBinary(schema, bytes);

interface Method<I extends DescMessage, O extends DescMessage> {
  readonly input: I;
  readonly output: O;
  readonly name: string;
  readonly parent: { readonly typeName: string };
}
const path = (method: { name: string; parent: { typeName: string } }): string =>
  `/${method.parent.typeName}/${method.name}`;

function unary<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: Method<I, O>,
  message: MessageInitShape<I>,
  options: object = {},
): Promise<MessageShape<O>> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path(method),
      writes(method.input),
      reads(method.output),
      message,
      new Metadata(),
      options,
      (error, answer) => (error === null ? resolve(answer as MessageShape<O>) : reject(error)),
    );
  });
}

const handlers: Readonly<Record<string, ServeOptions>> = {
  reference: {},
  "fast path": { fastPath: createFastPath },
};
for (const [handler, options] of Object.entries(handlers)) {
  suite(`grpc-js, ${handler}`, () => {
    const open = async () => {
      const served = await serve(options);
      const client = new Client(`127.0.0.1:${served.port}`, credentials.createInsecure());
      return {
        served,
        client,
        async [Symbol.asyncDispose]() {
          client.close();
          await served[Symbol.asyncDispose]();
        },
      };
    };
    const method = Log.method;

    test("unary calls, and an error with its message and details", async () => {
      await using world = await open();
      const { client } = world;
      const { offset } = await unary(client, method.produce, { record: { value: Buffer.from("a") } });
      assert.equal(offset, 0n);
      const { record } = await unary(client, method.consume, { offset: 0n });
      assert.equal(Buffer.from(record?.value ?? []).toString(), "a");
      const error = (await unary(client, method.consume, { offset: 3n }).catch(
        (reason: unknown) => reason,
      )) as ServiceError;
      assert.equal(error.code, status.OUT_OF_RANGE);
      assert.equal(error.details, "the offset is not in the log");
      const [packed] = error.metadata.get("grpc-status-details-bin") as Buffer[];
      const { details } = fromBinary(StatusSchema, packed!);
      const info = details.find(({ typeUrl }) => typeUrl.endsWith("google.rpc.ErrorInfo"));
      assert.equal(fromBinary(ErrorInfoSchema, info!.value).metadata["next"], "1");
      const invalid = (await unary(client, method.produce, { expectedOffset: 2n ** 60n, record: {} }).catch(
        (reason: unknown) => reason,
      )) as ServiceError;
      assert.equal(
        invalid.details,
        `expected_offset is ${2n ** 60n}, the largest possible is ${Number.MAX_SAFE_INTEGER}`,
      );
    });

    test("server, client and two-way streams", async () => {
      await using world = await open();
      const { client } = world;
      const acks: bigint[] = [];
      const both = client.makeBidiStreamRequest(
        path(method.produceStream),
        writes(method.produceStream.input),
        reads(method.produceStream.output),
      );
      for (let at = 0; at < 100; at++) both.write({ record: { value: Buffer.from(`${at}`) } });
      both.end();
      for await (const { offset } of both) acks.push(offset as bigint);
      assert.deepEqual(
        acks,
        Array.from({ length: 100 }, (_, at) => BigInt(at)),
      );
      const down = client.makeServerStreamRequest(
        path(method.consumeStream),
        writes(method.consumeStream.input),
        reads(method.consumeStream.output),
        { offset: 90n, stopAtEnd: true },
      );
      const values: string[] = [];
      for await (const { record } of down) values.push(Buffer.from(record.value).toString());
      assert.deepEqual(values, ["90", "91", "92", "93", "94", "95", "96", "97", "98", "99"]);
      const sum = await new Promise<MessageShape<typeof method.produceBulk.output>>((resolve, reject) => {
        const up = client.makeClientStreamRequest(
          path(method.produceBulk),
          writes(method.produceBulk.input),
          reads(method.produceBulk.output),
          (error, answer) => (error === null ? resolve(answer!) : reject(error)),
        );
        for (let at = 0; at < 5; at++) up.write({ records: [{}, {}] });
        up.end();
      });
      assert.deepEqual([sum.firstOffset, sum.nextOffset], [100n, 110n]);
    });

    test("deadlines and cancels end a tail, and the server frees it", async () => {
      await using world = await open();
      const { client, served } = world;
      const read = (options: object) =>
        client.makeServerStreamRequest(
          path(method.consumeStream),
          writes(method.consumeStream.input),
          reads(method.consumeStream.output),
          {},
          new Metadata(),
          options,
        );
      const ending = (call: ReturnType<typeof read>): Promise<number> =>
        new Promise((resolve) => {
          call.on("error", (error) => resolve((error as ServiceError).code));
          call.resume();
        });
      assert.equal(await ending(read({ deadline: Date.now() + 150 })), status.DEADLINE_EXCEEDED);
      const tails = (count: number): Promise<boolean> =>
        until(`${count} tails are open`, () => served.log.openTails === count);
      await tails(0);
      const tail = read({});
      const canceled = ending(tail);
      await tails(1);
      tail.cancel();
      assert.equal(await canceled, status.CANCELLED);
      await tails(0);
    });

    test("gzip works in both directions", async () => {
      await using world = await open();
      const client = new Client(`127.0.0.1:${world.served.port}`, credentials.createInsecure(), {
        "grpc.default_compression_algorithm": 2,
      });
      const value = Buffer.alloc(100_000, "tailrace ");
      await unary(client, method.produce, { record: { value } });
      const { record } = await unary(client, method.consume, {});
      assert.ok(Buffer.from(record!.value).equals(value));
      client.close();
    });

    test("an unknown method is unimplemented, and whoami and health answer", async () => {
      await using world = await open();
      const { client, served } = world;
      const nope = (await unary(client, { ...method.produce, name: "Nope" }, {}).catch(
        (reason: unknown) => reason,
      )) as ServiceError;
      assert.equal(nope.code, status.UNIMPLEMENTED);
      assert.match(nope.details, /no method \/log\.v1\.Log\/Nope/);
      assert.equal((await unary(client, Cluster.method.whoAmI, {})).subject, "local");
      const watch = client.makeServerStreamRequest(
        "/grpc.health.v1.Health/Watch",
        writes(HealthCheckRequestSchema),
        reads(HealthCheckResponseSchema),
        { service: "log.v1.Log" },
      );
      const seen: Serving[] = [];
      watch.on("error", () => undefined);
      for await (const answer of watch) {
        seen.push(answer.status);
        if (seen.length === 1) served.setReasons(["stopping"]);
        else break;
      }
      assert.deepEqual(seen, [Serving.SERVING, Serving.NOT_SERVING]);
    });
  });
}
