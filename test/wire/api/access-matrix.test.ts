/**
 * Which client may use which protocol: every kind of certificate against every protocol, with the programs that people
 * use, over mTLS on the one port. root may produce, consume and describe.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { AccessControl, logObject } from "../../../src/access/mod.ts";
import type { Issued } from "../../../src/cli/certs/build.ts";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from "../../../src/gen/grpc/health/v1/health_pb.js";
import { ProduceRequestSchema, ProduceResponseSchema } from "../../../src/gen/log/v1/log_pb.js";
import { noTelemetry } from "../../../src/lib/telemetry.ts";
import { NodeTls } from "../../../src/server/tls/node-tls.ts";
import { peerProtocol } from "../../../src/server/tls/peer-protocol.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import { logLines } from "../../support/log/log-lines.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { requireProgram } from "../../support/process/require-program.ts";
import { scratch } from "../../support/scratch.ts";

/** ok; denied: answered with permission_denied; refused: no connection or no response. */
type Outcome = "ok" | "denied" | "refused";
const clients = ["none", "wrong CA", "expired", "nobody", "root", "node"] as const;
type CallerName = (typeof clients)[number];

const image = fileURLToPath(new URL("../log.v1.binpb", import.meta.url));
const buf = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));
const policy = "p, root, *, produce\np, root, *, consume\np, root, *, describe\n";

let served: Served;
let tls: NodeTls;
let directory: string;
let ca: Issued;
const cleanups: (() => void)[] = [];
const { log, lines } = logLines();
const certificates = new Map<CallerName, { cert: string; key: string; pair: Issued }>();

before(async () => {
  directory = scratch({ after: (work) => cleanups.push(work) });
  const authority = await testAuthority();
  const stranger = await testAuthority("Stranger");
  ca = authority.issued;
  const node = await authority.node();
  tls = new NodeTls({
    server: writeTlsFiles(directory, "server", node, ca),
    clientAuth: "require",
    log,
  });
  for (const [name, pair] of [
    ["wrong CA", await stranger.client("root")],
    ["expired", await authority.client("root", { agoMs: 12 * 3_600_000 })],
    ["nobody", await authority.client("nobody")],
    ["root", await authority.client("root")],
    ["node", node],
  ] as const) {
    const { certFile, keyFile } = writeTlsFiles(directory, `client ${name}`, pair, ca);
    certificates.set(name, { cert: certFile, key: keyFile, pair });
  }
  writeFileSync(join(directory, "ca.pem"), ca.certificatePem);
  const access = await AccessControl.open({ policy });
  served = await serve({
    tls,
    access,
    telemetry: { ...noTelemetry, log },
    handlers: {
      raft: (socket, identity) => socket.end(access.check(identity, logObject, "peer") ? "ok" : "denied"),
    },
  });
});

after(async () => {
  await served[Symbol.asyncDispose]();
  tls[Symbol.dispose]();
  for (const work of cleanups) work();
});

function run(program: string, args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: 300_000 }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err }),
    );
  });
}

const certificateFlags = (client: CallerName): string[] => {
  const files = certificates.get(client);
  return files === undefined ? [] : ["--cert", files.cert, "--key", files.key];
};

async function curl(client: CallerName, path: string, ...more: string[]): Promise<Outcome> {
  const { code, out } = await run("curl", [
    ...[
      "-s",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code}",
      "--max-time",
      "20",
      "--cacert",
      join(directory, "ca.pem"),
    ],
    ...certificateFlags(client),
    ...more,
    `${served.url}${path}`,
  ]);
  if (code !== 0) return "refused";
  assert.match(out, /^(200|403)$/, `${client} ${path}`);
  return out === "200" ? "ok" : "denied";
}

async function bufCurl(client: CallerName, path: string, ...more: string[]): Promise<Outcome> {
  const { code, err } = await run(buf, [
    ...["curl", "--cacert", join(directory, "ca.pem"), ...certificateFlags(client), ...more],
    `${served.url}${path}`,
  ]);
  if (code === 0) return "ok";
  return /permission.denied/i.test(err) ? "denied" : "refused";
}

/** grpcurl exits with 64 plus the gRPC code if the server responded. */
async function grpcurl(client: CallerName, ...words: string[]): Promise<Outcome> {
  const flags = certificateFlags(client).map((word) => word.replace(/^--/, "-"));
  // Without this flag, grpcurl retries a refused connection for long.
  if (["none", "wrong CA", "expired"].includes(client)) flags.push("-connect-timeout", "2");
  const { code } = await run("grpcurl", [
    ...["-cacert", join(directory, "ca.pem"), ...flags, "-authority", "localhost", "-max-time", "20"],
    ...words.slice(0, -1),
    `localhost:${served.port}`,
    words.at(-1) ?? "",
  ]);
  return code === 0 ? "ok" : code === 64 + status.PERMISSION_DENIED ? "denied" : "refused";
}

async function grpcJs(
  client: CallerName,
  path: string,
  request: Buffer,
  check: (response: Buffer) => void,
): Promise<Outcome> {
  const pair = certificates.get(client)?.pair;
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  const rpc = new Client(
    `127.0.0.1:${served.port}`,
    credentials.createSsl(Buffer.from(ca.certificatePem), pem(pair?.keyPem), pem(pair?.certificatePem)),
    {
      "grpc.ssl_target_name_override": "localhost",
      "grpc.default_authority": "localhost",
      "grpc.enable_retries": 0,
    },
  );
  try {
    return await new Promise((resolve, reject) => {
      const same = (bytes: Buffer): Buffer => bytes;
      const options = { deadline: Date.now() + 20_000 };
      rpc.makeUnaryRequest(path, same, same, request, new Metadata(), options, (error, answer) => {
        if (error === null && answer !== undefined) {
          check(answer);
          resolve("ok");
        } else if (error?.code === status.PERMISSION_DENIED) resolve("denied");
        else if (error?.code === status.UNAVAILABLE) resolve("refused");
        else reject(error);
      });
    });
  } finally {
    rpc.close();
  }
}

async function peer(client: CallerName): Promise<Outcome> {
  const pair = certificates.get(client)?.pair;
  const socket = connect({
    host: "127.0.0.1",
    port: served.port,
    servername: "localhost",
    ca: ca.certificatePem,
    ALPNProtocols: [peerProtocol],
    ...(pair === undefined ? {} : { cert: pair.certificatePem, key: pair.keyPem }),
  });
  try {
    for await (const bytes of socket) return String(bytes) as Outcome;
    return "refused";
  } catch {
    return "refused";
  } finally {
    socket.destroy();
  }
}

const produce = Buffer.from(
  toBinary(ProduceRequestSchema, create(ProduceRequestSchema, { record: { value: new Uint8Array([1]) } })),
);
const health = Buffer.from(toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)));
const json = '{"record":{"value":"TGV0J3MgR28gIzEK"}}';
const withImage = ["--reflect=false", "--schema", image, "-d", json];

/** For each protocol: how to call, and the outcome for each client in the order of `clients`. */
const protocols: Readonly<
  Record<
    string,
    { program?: string; call: (client: CallerName) => Promise<Outcome>; outcomes: readonly Outcome[] }
  >
> = {
  "gRPC (grpc-js)": {
    call: (client) =>
      grpcJs(client, "/log.v1.Log/Produce", produce, (answer) => fromBinary(ProduceResponseSchema, answer)),
    outcomes: ["refused", "refused", "refused", "denied", "ok", "denied"],
  },
  "gRPC (grpcurl)": {
    program: "grpcurl",
    call: (client) => grpcurl(client, "-protoset", image, "-d", json, "log.v1.Log/Produce"),
    outcomes: ["refused", "refused", "refused", "denied", "ok", "denied"],
  },
  "gRPC-Web (buf curl)": {
    call: (client) => bufCurl(client, "/log.v1.Log/Produce", "--protocol", "grpcweb", ...withImage),
    outcomes: ["refused", "refused", "refused", "denied", "ok", "denied"],
  },
  "Connect (buf curl)": {
    call: (client) => bufCurl(client, "/log.v1.Log/Produce", "--protocol", "connect", ...withImage),
    outcomes: ["refused", "refused", "refused", "denied", "ok", "denied"],
  },
  "HTTP (curl POST /)": {
    program: "curl",
    call: (client) => curl(client, "/", "-d", json),
    outcomes: ["refused", "refused", "refused", "denied", "ok", "denied"],
  },
  "tail (curl /tail)": {
    program: "curl",
    call: (client) => curl(client, "/tail?from=start&limit=1", "-N", "-H", "accept: application/x-ndjson"),
    outcomes: ["refused", "refused", "refused", "denied", "ok", "denied"],
  },
  "reflection (buf curl)": {
    call: (client) => bufCurl(client, "", "--list-services"),
    outcomes: ["refused", "refused", "refused", "denied", "ok", "denied"],
  },
  "health (grpc-js)": {
    call: (client) =>
      grpcJs(client, "/grpc.health.v1.Health/Check", health, (answer) =>
        assert.equal(fromBinary(HealthCheckResponseSchema, answer).status, 1),
      ),
    outcomes: ["refused", "refused", "refused", "ok", "ok", "ok"],
  },
  "peer (tailrace-raft)": {
    call: peer,
    outcomes: ["refused", "refused", "refused", "denied", "denied", "ok"],
  },
};

for (const [protocol, { program, call, outcomes }] of Object.entries(protocols)) {
  test(
    `${protocol} allows exactly the clients with the permission`,
    program === undefined ? {} : requireProgram(program),
    async () => {
      // The tail of an empty log would wait, so the log must hold a record.
      await grpcJs("root", "/log.v1.Log/Produce", produce, () => undefined);
      const actual: Partial<Record<CallerName, Outcome>> = {};
      for (const client of clients) actual[client] = await call(client);
      assert.deepEqual(actual, Object.fromEntries(clients.map((client, at) => [client, outcomes[at]])));
    },
  );
}

test("every refused TLS handshake is logged with its reason", () => {
  const reasons = new Set(lines.map(({ facts }) => facts["reason"]).filter((reason) => reason !== undefined));
  assert.deepEqual([...reasons].sort(), ["expired", "missing", "wrong CA"]);
});
