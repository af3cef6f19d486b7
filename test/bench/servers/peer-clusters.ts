/** Tailrace, NATS JetStream and Redis Streams in the suite `peers`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { GetServersResponseSchema } from "../../../src/gen/log/v1/log_pb.js";
import { freePort } from "../../support/process/free-port.ts";
import { grpcHeaders, H2Client } from "../load/h2-client.ts";
import { paths, produceOne } from "../load/messages.ts";
import { command } from "../load/server-process.ts";
import { call } from "./grpc-call.ts";
import { payload } from "./log-server.ts";
import { NatsClient } from "./nats-client.ts";
import type { PeerCluster } from "./peer-cluster.ts";
import { startProgram } from "./program.ts";
import { encodeCommand, RespClient } from "./resp-client.ts";

const freePorts = (count: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, () => freePort()));

export async function tailrace(directory: string, nodes: number): Promise<PeerCluster> {
  const ports = await freePorts(nodes);
  const programs = ports.map((port, at) => {
    const addresses = ["--addr", `127.0.0.1:${port}`, "--ops-addr", "127.0.0.1:0"];
    const others = ports.filter((other) => other !== port).map((other) => `127.0.0.1:${other}`);
    const cluster = ["--node-name", `n${at}`, "--bootstrap-expect", String(nodes)];
    if (nodes > 1) cluster.push("--start-join-addrs", others.join(","));
    const flags = ["--data-dir", join(directory, `n${at}`), "--log-level", "error"];
    return startProgram(process.execPath, [command, "serve", ...addresses, ...flags, ...cluster]);
  });
  return {
    name: "Tailrace",
    durability: nodes > 1 ? "on disk on a majority" : "syncs each group of writes",
    programs,
    connect: async () => {
      const any = await H2Client.open({ port: ports[0] as number });
      const { servers } = fromBinary(GetServersResponseSchema, await call(any, getServers, Buffer.alloc(5)));
      any.close();
      const leader = servers.find(({ isLeader }) => isLeader);
      if (leader === undefined || servers.length < nodes) throw new Error("Tailrace has no leader yet");
      const client = await H2Client.open({ port: Number(leader.rpcAddr.split(":").at(-1)) });
      return {
        append: async () => void (await call(client, produce, produceOne)),
        close: () => client.close(),
      };
    },
  };
}

const getServers = grpcHeaders("/log.v1.Log/GetServers");
const produce = grpcHeaders(paths.produce);

/** A stream with as many replicas as nodes. The client connects to the node that leads the stream. */
export async function nats(path: string, directory: string, nodes: number): Promise<PeerCluster> {
  const ports = await freePorts(nodes);
  const routes = await freePorts(nodes);
  const programs = ports.map((port, at) => {
    const place = join(directory, `n${at}`);
    mkdirSync(place, { recursive: true });
    const config = join(place, "nats.conf");
    const urls = routes.map((route) => `nats://127.0.0.1:${route}`).join(", ");
    const cluster = `cluster { name: peers, listen: "127.0.0.1:${routes[at]}", routes: [${urls}] }\n`;
    writeFileSync(
      config,
      `server_name: n${at}\nlisten: "127.0.0.1:${port}"\n` +
        `jetstream { store_dir: "${place}"\nsync_interval: always }\n${nodes > 1 ? cluster : ""}`,
    );
    return startProgram(path, ["--config", config, "--log", "/dev/null"]);
  });
  const stream = { name: "peers", subjects: ["peers"], storage: "file", num_replicas: nodes };
  return {
    name: "NATS JetStream",
    durability: "sync_interval: always",
    programs,
    connect: async () => {
      const any = await NatsClient.open(ports[0] as number);
      await any.request("$JS.API.STREAM.CREATE.peers", Buffer.from(JSON.stringify(stream)));
      const leader = nodes > 1 ? await streamLeader(any) : "n0";
      any.close();
      const client = await NatsClient.open(ports[Number(leader.slice(1))] as number);
      return { append: () => client.request("peers", payload), close: () => client.close() };
    },
  };
}

function streamLeader(client: NatsClient): Promise<string> {
  return new Promise((resolve, reject) =>
    client.requestMany("$JS.API.STREAM.INFO.peers", Buffer.alloc(0), ({ payload: reply }) => {
      const { cluster } = JSON.parse(reply.toString()) as { readonly cluster?: { readonly leader?: string } };
      if (cluster?.leader === undefined) reject(new Error("the stream has no leader yet"));
      else resolve(cluster.leader);
      return true;
    }),
  );
}

/** One node: the replication of Redis does not wait for other nodes. */
export async function redis(path: string, directory: string): Promise<PeerCluster> {
  const [port] = (await freePorts(1)) as [number];
  const address = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory];
  const append = encodeCommand("XADD", "peers", "*", "v", payload);
  return {
    name: "Redis Streams",
    durability: "appendfsync always",
    programs: [
      startProgram(path, [...address, "--appendonly", "yes", "--appendfsync", "always", "--save", ""]),
    ],
    connect: async () => {
      const client = await RespClient.open(port);
      await client.send(encodeCommand("PING"));
      return { append: async () => void (await client.send(append)), close: () => client.close() };
    },
  };
}
