/**
 * Defines the same tests for every protocol that serves log.v1.Log, with Connect alone and with the fast path, and short
 * forms for what such tests read.
 */
import { suite } from "node:test";
import { type Client, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { createFastPath } from "../../../src/api/mod.ts";
import { faultOf } from "../../../src/client/mod.ts";
import type { Fault } from "../../../src/fault.ts";
import { type ConsumeResponse, Cursors, Log, Logs } from "../../../src/gen/log/v1/log_pb.js";
import { type Served, type ServeOptions, serve } from "../../support/http/serve.ts";
import { until } from "../../support/until.ts";

const transports = {
  grpc: (baseUrl: string) => createGrpcTransport({ baseUrl }),
  "grpc-web": (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
  connect: (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  "connect json": (baseUrl: string) =>
    createConnectTransport({ baseUrl, httpVersion: "2", acceptCompression: [] }),
} as const satisfies Record<string, (baseUrl: string) => Transport>;
const paths: Readonly<Record<string, ServeOptions>> = {
  reference: {},
  "fast path": { fastPath: createFastPath },
};

export interface RpcClients {
  readonly client: Client<typeof Log>;
  readonly logs: Client<typeof Logs>;
  readonly cursors: Client<typeof Cursors>;
}

/** A server with the options of a test, and clients of it. */
export type OpenRpc = (options?: ServeOptions) => Promise<Served & RpcClients>;

/** Defines the tests of a subject once for each protocol and path. */
export function inEachProtocol(subject: string, define: (open: OpenRpc, protocol: string) => void): void {
  for (const [protocol, transportTo] of Object.entries(transports)) {
    for (const [path, pathOptions] of Object.entries(paths)) {
      const open: OpenRpc = async (options = {}) => {
        const served = await serve({ ...pathOptions, ...options });
        const transport = transportTo(served.url);
        return Object.assign(served, {
          client: createClient(Log, transport),
          logs: createClient(Logs, transport),
          cursors: createClient(Cursors, transport),
        });
      };
      suite(`${subject}: ${protocol}, ${path}`, { concurrency: 4 }, () => define(open, protocol));
    }
  }
}

export const bytes = (text: string): Uint8Array => Buffer.from(text);
export const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();
export const tailsOpen = (served: Served, count: number): Promise<unknown> =>
  until(`${count} tails are open`, () => served.log.openTails === count);
export const collect = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
};
export const values = (responses: readonly ConsumeResponse[]): string[] =>
  responses.flatMap(({ record }) => (record === undefined ? [] : [text(record.value)]));
export const failing = async (
  work: () => Promise<unknown>,
): Promise<{ error: ConnectError; fault: Fault }> => {
  try {
    await work();
  } catch (reason) {
    const error = ConnectError.from(reason);
    return { error, fault: faultOf(error) };
  }
  throw new Error("nothing was thrown");
};
