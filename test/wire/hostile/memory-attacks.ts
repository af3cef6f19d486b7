/**
 * Clients that make a server hold memory: they request much and read nothing, or start requests and do not finish them.
 * An attack resolves when everything is sent. The function that it resolves with closes its connections.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ConsumeRequestSchema,
  ProduceBatchRequestSchema,
  ProduceRequestSchema,
} from "../../../src/gen/log/v1/log_pb.js";
import { encodeEnvelope } from "../../../src/lib/envelope.ts";
import { headerBlock } from "../../bench/load/h2-client.ts";
import { frame, preface, u32 } from "../../support/http/h2-harness.ts";

export interface Attack {
  readonly name: string;
  start(port: number): Promise<() => void>;
}

const type = { data: 0, headers: 1, settings: 4, windowUpdate: 8 } as const;
const largestWindow = 2 ** 31 - 1;

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => socket.destroy());
  await new Promise((resolve) => {
    socket.once("connect", resolve);
    socket.once("close", resolve);
  });
  return socket;
}

/** Writes at the pace of the server. Stops when the server closes the connection. */
async function write(socket: Socket, bytes: Buffer | string): Promise<void> {
  if (socket.destroyed || socket.write(bytes)) return;
  const over = new AbortController();
  const options = { signal: over.signal };
  await Promise.race([once(socket, "drain", options), once(socket, "close", options)]).catch(() => undefined);
  over.abort();
}

interface H2Attack {
  readonly connections: number;
  readonly streams: number;
  readonly initialWindow: number;
  readonly connectionWindow?: number;
  /** The socket is never read. */
  readonly neverReads?: boolean;
  readonly fields: readonly (readonly [string, string])[];
  readonly body: (stream: number) => Uint8Array | undefined;
  /** The requests do not end. */
  readonly isUnfinished?: boolean;
  /** Bytes of window granted on each stream four times per second. */
  readonly grantBytes?: number;
}

async function h2(port: number, attack: H2Attack): Promise<() => void> {
  const sockets: Socket[] = [];
  const timers: NodeJS.Timeout[] = [];
  for (let one = 0; one < attack.connections; one++) {
    const socket = await open(port);
    sockets.push(socket);
    if (attack.neverReads === true) socket.pause();
    else socket.on("data", () => undefined);
    const settings = Buffer.concat([Buffer.from([0, 4]), u32(attack.initialWindow)]);
    const grant = attack.connectionWindow ?? largestWindow - 65_535;
    const begin = [preface, frame(type.settings, 0, 0, settings), frame(type.windowUpdate, 0, 0, u32(grant))];
    await write(socket, Buffer.concat(begin));
    for (let stream = 0; stream < attack.streams; stream++) {
      const id = 1 + 2 * stream;
      const body = attack.body(one * attack.streams + stream);
      await write(socket, frame(type.headers, body === undefined ? 5 : 4, id, headerBlock(attack.fields)));
      if (body === undefined) continue;
      await write(socket, frame(type.data, attack.isUnfinished === true ? 0 : 1, id, body));
    }
    if (attack.grantBytes !== undefined) {
      const grants = Buffer.concat(
        Array.from({ length: attack.streams }, (_, stream) =>
          frame(type.windowUpdate, 0, 1 + 2 * stream, u32(attack.grantBytes ?? 1)),
        ),
      );
      timers.push(setInterval(() => socket.writable && socket.write(grants), 250));
    }
  }
  return () => {
    for (const timer of timers) clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}

const rpc = (method: string, contentType = "application/grpc+proto") =>
  [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", `/log.v1.Log/${method}`],
    [":authority", "localhost"],
    ["content-type", contentType],
    ["te", "trailers"],
  ] as const;
const get = (path: string) =>
  [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
  ] as const;

const consumeAt = (offset: number): Uint8Array =>
  encodeEnvelope(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { offset: BigInt(offset) })));
const fromEnd = encodeEnvelope(
  toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { start: { case: "fromEnd", value: true } })),
);

/** Opens HTTP/1.1 connections that each send this text and do not read. */
async function http1(port: number, connections: number, text: (one: number) => string): Promise<() => void> {
  const sockets: Socket[] = [];
  for (let one = 0; one < connections; one++) {
    const socket = await open(port);
    sockets.push(socket);
    socket.pause();
    void write(socket, text(one));
  }
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

/** The log has this many records of this size for the attacks to request. */
export const records = 64;
export const recordBytes = 750 * 1024;

const stalled = { connections: 2, streams: 1000 } as const;
const at = (stream: number): Uint8Array => consumeAt(stream % records);
const json = (stream: number): Buffer => Buffer.from(`{"offset":"${stream % records}"}`);

const unfinished = Buffer.alloc(1_300_000, 65).toString();
const batch = encodeEnvelope(
  toBinary(
    ProduceBatchRequestSchema,
    create(ProduceBatchRequestSchema, {
      records: Array.from({ length: 4 }, () => ({ value: Buffer.alloc(1_000_000) })),
    }),
  ),
);
const single = encodeEnvelope(
  toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { record: { value: Buffer.alloc(700_000) } })),
);

/** Sends the DATA frames of a request without its last byte. */
async function produce(
  port: number,
  connections: number,
  method: string,
  body: Uint8Array,
): Promise<() => void> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)));
  await Promise.all(
    sockets.map(async (socket) => {
      socket.on("data", () => undefined);
      const begin = [preface, frame(type.settings, 0, 0, Buffer.alloc(0))];
      await write(socket, Buffer.concat([...begin, frame(type.headers, 4, 1, headerBlock(rpc(method)))]));
      // The server's window allows no more.
      const limit = Math.min(body.length, 1024 * 1024);
      for (let from = 0; from < limit; from += 16_384) {
        await write(socket, frame(type.data, 0, 1, body.subarray(from, Math.min(limit, from + 16_384))));
      }
    }),
  );
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

/** Sends batches of 4 MB repeatedly, within the windows that the server grants. */
async function batches(port: number, connections: number): Promise<() => void> {
  const { H2Client, grpcHeaders } = await import("../../bench/load/h2-client.ts");
  let closed = false;
  const clients = await Promise.all(Array.from({ length: connections }, () => H2Client.open({ port })));
  const repeat = (client: (typeof clients)[number]): void => {
    if (closed) return;
    client.request(grpcHeaders("/log.v1.Log/ProduceBatch"), batch, {
      onEnd: (reset) => reset || setTimeout(() => repeat(client), 50),
    });
  };
  for (const client of clients) repeat(client);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return () => {
    closed = true;
    for (const client of clients) client.close();
  };
}

export const attacks: readonly Attack[] = [
  ...(["Consume", "ConsumeStream", "ConsumeBatches"] as const).map((method) => ({
    name: `${method} without window`,
    start: (port: number) => h2(port, { ...stalled, initialWindow: 0, fields: rpc(method), body: at }),
  })),
  {
    name: "GET /tail without window",
    start: (port) =>
      h2(port, { ...stalled, initialWindow: 0, fields: get("/tail?from=0"), body: () => undefined }),
  },
  ...(["Consume", "ConsumeStream", "ConsumeBatches"] as const).map((method) => ({
    name: `${method} with a window that grows byte by byte`,
    start: (port: number) =>
      h2(port, { ...stalled, initialWindow: 1, fields: rpc(method), body: at, grantBytes: 1 }),
  })),
  ...(["Consume", "ConsumeStream", "ConsumeBatches"] as const).map((method) => ({
    name: `${method} with the largest windows on a socket that is not read`,
    start: (port: number) =>
      h2(port, {
        connections: 20,
        streams: 100,
        initialWindow: largestWindow,
        neverReads: true,
        fields: rpc(method),
        body: at,
      }),
  })),
  {
    name: "Consume as JSON with a window of 10 KB",
    start: (port) =>
      h2(port, {
        ...stalled,
        initialWindow: 10_000,
        fields: rpc("Consume", "application/json").slice(0, 5),
        body: json,
      }),
  },
  {
    name: "GET / over HTTP/2 with a window of 10 KB",
    start: (port) =>
      h2(port, { ...stalled, initialWindow: 10_000, fields: get("/?offset=3"), body: () => undefined }),
  },
  {
    name: "GET /tail over HTTP/1.1 that is not read",
    start: (port) =>
      http1(
        port,
        200,
        (one) =>
          `GET /tail?from=${one % records} HTTP/1.1\r\nhost: localhost\r\naccept: ${one % 2 ? "application/x-ndjson" : "text/event-stream"}\r\n\r\n`,
      ),
  },
  {
    name: "GET / pipelined on connections that are not read",
    start: (port) =>
      http1(port, 100, (one) =>
        `GET /?offset=${one % records} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(200),
      ),
  },
  {
    name: "POST / of 1.3 MB that is not finished",
    start: (port) =>
      http1(
        port,
        300,
        () =>
          `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${unfinished.length + 10}\r\n\r\n${unfinished}`,
      ),
  },
  {
    name: "Produce of 700 KB that is not finished",
    start: (port) => produce(port, 300, "Produce", single),
  },
  {
    name: "Produce of which the first 16 KB arrive, on 20,000 streams",
    start: (port) =>
      h2(port, {
        connections: 20,
        streams: 1000,
        initialWindow: 65_535,
        fields: rpc("Produce"),
        body: () => single.subarray(0, 16_384),
        isUnfinished: true,
      }),
  },
  {
    name: "POST / of which the first 60 KB arrive, on 1,500 connections",
    start: (port) =>
      http1(
        port,
        1500,
        () =>
          `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n${unfinished.slice(0, 60_000)}`,
      ),
  },
  {
    name: "ProduceBatch of 4 MB that is not finished",
    start: (port) => produce(port, 300, "ProduceBatch", batch),
  },
  { name: "ProduceBatch of 4 MB from 100 connections", start: (port) => batches(port, 100) },
  {
    name: "a thousand tails on records of 1 MB",
    start: async (port) => {
      const tails = await h2(port, {
        connections: 20,
        streams: 50,
        initialWindow: 65_535,
        fields: rpc("ConsumeStream"),
        body: () => fromEnd,
      });
      const record = JSON.stringify({ record: { value: Buffer.alloc(1_000_000, 1).toString("base64") } });
      for (let one = 0; one < 20; one++) {
        await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: record }).catch(() => undefined);
      }
      return tails;
    },
  },
  {
    name: "4,000 idle connections",
    start: (port) => http1(port, 4000, () => "GET /tail?from=end HTTP/1.1\r\nhost: localhost\r\n\r\n"),
  },
  {
    name: "8,000 idle tails",
    start: (port) =>
      h2(port, {
        connections: 8,
        streams: 1000,
        initialWindow: 65_535,
        fields: rpc("ConsumeStream"),
        body: () => fromEnd,
      }),
  },
];
