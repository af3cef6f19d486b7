/**
 * The client interceptor in a program without an SDK. With one: sdk.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { Log } from "../../../src/gen/log/v1/log_pb.js";
import { clientInterceptor } from "../../../src/telemetry/client-interceptor.ts";

test("without an SDK no trace context is created, and the caller's is passed on unchanged", async () => {
  const received: (string | null)[] = [];
  const transport = createRouterTransport(
    ({ service }) => {
      service(Log, {
        produce(_request, { requestHeader }) {
          received.push(requestHeader.get("traceparent"));
          return { offset: 7n };
        },
      });
    },
    { transport: { interceptors: [clientInterceptor()] } },
  );
  const client = createClient(Log, transport);
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert.equal((await client.produce({})).offset, 7n);
  await client.produce({}, { headers: { traceparent } });
  assert.deepEqual(received, [null, traceparent]);
});
