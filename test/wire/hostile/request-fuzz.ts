/**
 * Sends hostile connections to a running node, generated from a seed (request-arbitrary.ts). Each is sent, some in two
 * parts, and cut after a few milliseconds, while responses are in progress. A correct client calls between them. The node
 * must respond, and no error may reach one of its boundaries.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { prng } from "../../../src/lib/prng.ts";
import { curl } from "../../support/http/curl.ts";
import { drawConnection } from "./request-arbitrary.ts";

export interface FuzzTarget {
  readonly port: number;
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
}

export interface RequestFuzzOptions {
  readonly seed: string;
  /** Stops after so many cases or seconds. */
  readonly casesMax: number;
  readonly secondsMax: number;
  /** Connections at once. Default 24. */
  readonly parallel?: number;
  /** Requests on one connection of HTTP/2. Default 60. */
  readonly requestsMax?: number;
  /** Called every 500 connections. Throws if the node is not healthy. */
  readonly check: () => Promise<void>;
}

export interface RequestFuzzReport {
  readonly seed: string;
  cases: number;
  connections: number;
  /** Bytes received. */
  receivedBytes: number;
}

export async function fuzzRequests(
  target: FuzzTarget,
  options: RequestFuzzOptions,
): Promise<RequestFuzzReport> {
  const { seed, casesMax, secondsMax, parallel = 24, requestsMax = 60 } = options;
  const report: RequestFuzzReport = { seed, cases: 0, connections: 0, receivedBytes: 0 };
  const until = performance.now() + secondsMax * 1000;
  let next = 0;
  const sendConnections = async (): Promise<void> => {
    while (report.cases < casesMax && performance.now() < until) {
      const number = next++;
      const random = prng(`${seed}/${number}`);
      const { bytes, cases } = drawConnection(random, requestsMax);
      // Different loopback addresses, so that no limit per address ends the run.
      const localAddress = `127.0.${1 + (number % 200)}.${1 + (number % 7)}`;
      const at = random.chance(0.3) ? random.between(0, bytes.length) : bytes.length;
      const received = await attack(target, localAddress, bytes, {
        at,
        lifeMs: random.between(0, 15),
        waits: random.chance(0.7),
        halfCloses: random.chance(0.3),
      });
      report.receivedBytes += received;
      report.cases += cases;
      report.connections++;
      if (number % 500 === 499) await options.check();
    }
  };
  await Promise.all(Array.from({ length: parallel }, sendConnections));
  await options.check();
  return report;
}

interface AttackTiming {
  /** Position at which the bytes are split. */
  readonly at: number;
  /** Milliseconds until the connection is closed. */
  readonly lifeMs: number;
  /** The time runs from the first response, if there is one within a while. */
  readonly waits: boolean;
  readonly halfCloses: boolean;
}

const waitMs = 100;
/** The bytes that an HTTP/2 server sends before any response. */
const greetingBytes = 64;

/** Sends the bytes in two parts and disconnects after a while. Returns the number of received bytes. */
function attack(
  { port, tls }: FuzzTarget,
  localAddress: string,
  bytes: Buffer,
  { at, lifeMs, waits, halfCloses }: AttackTiming,
): Promise<number> {
  return new Promise((resolve) => {
    let received = 0;
    const disconnect = (): void => void setTimeout(() => socket.destroy(), lifeMs);
    const send = (): void => {
      socket.write(bytes.subarray(0, at));
      setTimeout(() => {
        if (halfCloses) socket.end(bytes.subarray(at));
        else socket.write(bytes.subarray(at));
        if (waits) setTimeout(disconnect, waitMs);
        else disconnect();
      }, 1);
    };
    const tcp = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    const socket: Socket =
      tls === undefined
        ? tcp.once("connect", send)
        : connectTls(
            { socket: tcp, servername: "localhost", ALPNProtocols: [protocolOf(bytes)], ...tls },
            send,
          );
    tcp.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      const hasResponse = received > greetingBytes;
      received += chunk.length;
      if (waits && !hasResponse && received > greetingBytes) disconnect();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(received));
    // A handshake that never ends is one of the cases.
    setTimeout(() => socket.destroy(), 1000);
  });
}

const protocolOf = (bytes: Buffer): string => (bytes.subarray(0, 3).toString() === "PRI" ? "h2" : "http/1.1");

/** Checks that a correct client is served. */
export async function isServed(url: string): Promise<void> {
  const posted = await curl(`${url}/`, { method: "POST", body: '{"record":{"value":"aG9uZXN0"}}' });
  assert.equal(posted.status, 200, posted.text);
  const read = await curl(`${url}/?offset=${String(posted.json["offset"])}`);
  assert.equal(read.status, 200, read.text);
  assert.match(read.text, /"value":"aG9uZXN0"/);
}

/** Returns the resident memory of a process in bytes. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

export const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Messages in the log of a node for an error that reached a boundary. Each is a bug. */
export const boundaryLines = (log: string): string[] =>
  log
    .split("\n")
    .filter((line) =>
      /failed and is ended|a request failed|failed before it was served|could not be (handled|answered)/.test(
        line,
      ),
    );
