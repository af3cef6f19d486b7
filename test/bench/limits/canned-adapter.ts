/** The limit of connect-node: its own adapter returns the same message for every Produce, in a process of its own. */
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Log } from "../../../src/gen/log/v1/log_pb.js";

const adapter = connectNodeAdapter({
  routes: (router) => router.service(Log, { produce: () => ({ offset: 1n }) }),
});
const server = createServer(
  { settings: { initialWindowSize: 1 << 20, maxConcurrentStreams: 1000 } },
  adapter,
);
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
