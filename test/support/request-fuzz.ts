/**
 * Hostile connections against a live node, drawn from a seed (request-arbitrary.ts). Each is sent, some in two pieces,
 * and cut after a few milliseconds, so that answers are under way when their client goes. Between them an honest client
 * asks. What must hold: the node answers, and none of its boundaries had to hold anything back.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { prng } from "../../src/lib/prng.ts";
import { curl } from "./curl.ts";
import { drawConnection } from "./request-arbitrary.ts";

export interface FuzzTarget {
  readonly port: number;
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
}

export interface RequestFuzzOptions {
  readonly seed: string;
  /** Stops at so many cases, or after so many seconds. */
  readonly casesMax: number;
  readonly secondsMax: number;
  /** Connections at once. Default 24. */
  readonly parallel?: number;
  /** Requests on one connection of HTTP/2. Default 60. */
  readonly requestsMax?: number;
  /** Asked now and then; throws when the node is not well. */
  readonly check: () => Promise<void>;
}

export interface RequestFuzzReport {
  readonly seed: string;
  cases: number;
  connections: number;
  /** Bytes that came back. */
  answered: number;
}

export async function fuzzRequests(
  target: FuzzTarget,
  options: RequestFuzzOptions,
): Promise<RequestFuzzReport> {
  const { seed, casesMax, secondsMax, parallel = 24, requestsMax = 60 } = options;
  const report: RequestFuzzReport = { seed, cases: 0, connections: 0, answered: 0 };
  const until = performance.now() + secondsMax * 1000;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (report.cases < casesMax && performance.now() < until) {
      const number = next++;
      const random = prng(`${seed}/${number}`);
      const { bytes, cases } = drawConnection(random, requestsMax);
      // Addresses of the loopback network, so that no share of one address is what ends the run.
      const localAddress = `127.0.${1 + (number % 200)}.${1 + (number % 7)}`;
      const at = random.chance(0.3) ? random.between(0, bytes.length) : bytes.length;
      const came = await attack(target, localAddress, bytes, {
        at,
        lifeMs: random.between(0, 15),
        waits: random.chance(0.7),
        halfCloses: random.chance(0.3),
      });
      report.answered += came;
      report.cases += cases;
      report.connections++;
      if (number % 500 === 499) await options.check();
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  await options.check();
  return report;
}

interface Manner {
  /** Where the bytes are cut in two. */
  readonly at: number;
  /** From then to the end of the connection. */
  readonly lifeMs: number;
  /** Its life begins with the first answer, if one comes within a while. */
  readonly waits: boolean;
  readonly halfCloses: boolean;
}

const waitMs = 100;
/** What a server of HTTP/2 says before it answers anything. */
const greetingBytes = 64;

/** Sends the bytes in two pieces and hangs up after a while; answers how many bytes came back. */
function attack(
  { port, tls }: FuzzTarget,
  localAddress: string,
  bytes: Buffer,
  { at, lifeMs, waits, halfCloses }: Manner,
): Promise<number> {
  return new Promise((resolve) => {
    let came = 0;
    const die = (): void => void setTimeout(() => socket.destroy(), lifeMs);
    const begin = (): void => {
      socket.write(bytes.subarray(0, at));
      setTimeout(() => {
        if (halfCloses) socket.end(bytes.subarray(at));
        else socket.write(bytes.subarray(at));
        if (waits) setTimeout(die, waitMs);
        else die();
      }, 1);
    };
    const bare = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    const socket: Socket =
      tls === undefined
        ? bare.once("connect", begin)
        : connectTls(
            { socket: bare, servername: "localhost", ALPNProtocols: [protocolOf(bytes)], ...tls },
            begin,
          );
    bare.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      const begun = came > greetingBytes;
      came += chunk.length;
      if (waits && !begun && came > greetingBytes) die();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(came));
    // A handshake that never ends is one of the cases.
    setTimeout(() => socket.destroy(), 1000);
  });
}

const protocolOf = (bytes: Buffer): string => (bytes.subarray(0, 3).toString() === "PRI" ? "h2" : "http/1.1");

/** An honest client is served. */
export async function isServed(url: string): Promise<void> {
  const posted = await curl(`${url}/`, { method: "POST", body: '{"record":{"value":"aG9uZXN0"}}' });
  assert.equal(posted.status, 200, posted.text);
  const read = await curl(`${url}/?offset=${String(posted.json["offset"])}`);
  assert.equal(read.status, 200, read.text);
  assert.match(read.text, /"value":"aG9uZXN0"/);
}

/** Resident memory of a process, bytes. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

export const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

/** Lines of a node's log that say that a boundary held something back: each is a mistake of ours. */
export const boundaryLines = (log: string): string[] =>
  log
    .split("\n")
    .filter((line) =>
      /failed and is ended|a request failed|failed before it was served|could not be (handled|answered)/.test(
        line,
      ),
    );
