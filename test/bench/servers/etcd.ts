/** etcd in the suite `peers`: an append is a put of a new key, because etcd has no log. It syncs every write. */
import { join } from "node:path";
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { freePort } from "../../support/process/free-port.ts";
import { grpcHeaders, H2Client } from "../load/h2-client.ts";
import { call } from "./grpc-call.ts";
import { payload } from "./log-server.ts";
import type { AppendClient, PeerCluster } from "./peer-cluster.ts";
import { type Program, startProgram } from "./program.ts";

const put = grpcHeaders("/etcdserverpb.KV/Put");
const status = grpcHeaders("/etcdserverpb.Maintenance/Status");

export async function etcd(path: string, directory: string, nodes: number): Promise<PeerCluster> {
  const names = Array.from({ length: nodes }, (_, at) => `n${at}`);
  const ports = await Promise.all(names.map(() => freePort()));
  const peerPorts = await Promise.all(names.map(() => freePort()));
  const initial = names.map((name, at) => `${name}=http://127.0.0.1:${peerPorts[at]}`).join(",");
  const programs = names.map((name, at): Program => {
    const client = `http://127.0.0.1:${ports[at]}`;
    const peer = `http://127.0.0.1:${peerPorts[at]}`;
    const listen = ["--listen-client-urls", client, "--advertise-client-urls", client];
    const raft = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer];
    const cluster = ["--initial-cluster", initial, "--initial-cluster-state", "new"];
    const place = ["--name", name, "--data-dir", join(directory, name)];
    return startProgram(path, [...place, ...listen, ...raft, ...cluster, "--log-level", "fatal"]);
  });
  return {
    name: "etcd",
    durability: "syncs each group of writes",
    programs,
    connect: async () => {
      for (const port of ports) {
        const client = await H2Client.open({ port });
        if (await isLeader(client)) return new EtcdClient(client);
        client.close();
      }
      throw new Error("etcd has no leader yet");
    },
  };
}

/** Whether the member that answers leads: StatusResponse.leader (4) is the member id of its header (1, and there 2). */
async function isLeader(client: H2Client): Promise<boolean> {
  const response = new BinaryReader(await call(client, status, encodeEnvelope(new Uint8Array(0))));
  let member = "";
  let leader = "";
  while (response.pos < response.len) {
    const [field, type] = response.tag();
    if (field === 1) member = memberOf(response.bytes());
    else if (field === 4) leader = String(response.uint64());
    else response.skip(type);
  }
  return leader !== "" && leader !== "0" && leader === member;
}

function memberOf(bytes: Uint8Array): string {
  const header = new BinaryReader(bytes);
  while (header.pos < header.len) {
    const [field, type] = header.tag();
    if (field === 2) return String(header.uint64());
    header.skip(type);
  }
  return "";
}

class EtcdClient implements AppendClient {
  readonly #client: H2Client;
  #next = 0;

  constructor(client: H2Client) {
    this.#client = client;
  }

  async append(): Promise<void> {
    const key = Buffer.from(`log/${String(this.#next++).padStart(12, "0")}`);
    const request = new BinaryWriter().tag(1, 2).bytes(key).tag(2, 2).bytes(payload);
    await call(this.#client, put, encodeEnvelope(request.finish()));
  }

  close(): void {
    this.#client.close();
  }
}
