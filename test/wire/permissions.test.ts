/**
 * Every way in against everybody: each RPC that the generated code knows, so that a new one cannot be forgotten, in
 * each protocol, and each route of HTTP; asked by callers who have one right each, and by those who must not get in
 * at all. The tables are INTERFACE's "Who may do what", written down once more, by hand.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { globSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { pathToFileURL } from "node:url";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AccessControl, type Action, actions, logObject } from "../../src/access/mod.ts";
import { createFastPath } from "../../src/api/mod.ts";
import type { Issued } from "../../src/cli/certs/build.ts";
import { ServerReflection } from "../../src/gen/grpc/reflection/v1/reflection_pb.js";
import { encodeRun } from "../../src/log/mod.ts";
import { OpsServer } from "../../src/server/ops/ops-server.ts";
import { NodeTls } from "../../src/server/tls/node-tls.ts";
import { peerProtocol } from "../../src/server/tls/peer-protocol.ts";
import { Instruments } from "../../src/telemetry/instruments.ts";
import { testAuthority, writeTlsFiles } from "../support/certificates.ts";
import { root } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";
import { type Served, serve } from "../support/serve.ts";

/** What a door takes: a right, or to be somebody. */
type Takes = Action | "somebody";

const rpcs: Readonly<Record<string, Takes>> = {
  "log.v1.Log/Produce": "produce",
  "log.v1.Log/ProduceStream": "produce",
  "log.v1.Log/ProduceBatch": "produce",
  "log.v1.Log/ProduceBulk": "produce",
  "log.v1.Log/Consume": "consume",
  "log.v1.Log/ConsumeStream": "consume",
  "log.v1.Log/ConsumeBatches": "consume",
  "log.v1.Log/GetServers": "somebody",
  "log.v1.Log/Describe": "describe",
  "log.v1.Log/Watch": "describe",
  "log.v1.Log/Trim": "trim",
  "log.v1.Cluster/Members": "describe",
  "log.v1.Cluster/Status": "somebody",
  "log.v1.Cluster/WhoAmI": "somebody",
  "log.v1.Cluster/Event": "admin",
  "log.v1.Cluster/Query": "admin",
  "log.v1.Cluster/AddNode": "admin",
  "log.v1.Cluster/RemoveNode": "admin",
  "log.v1.Cluster/TransferLeadership": "admin",
  "log.v1.Cluster/Backup": "admin",
  "grpc.health.v1.Health/Check": "somebody",
  "grpc.health.v1.Health/List": "somebody",
  "grpc.health.v1.Health/Watch": "somebody",
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": "describe",
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "describe",
};

/** Routes of HTTP; the dashboard's files are no secret, so they take no right, but somebody. */
const routes: Readonly<Record<string, Takes>> = {
  "POST /": "produce",
  "GET /?offset=0": "consume",
  "GET /tail?from=start&limit=1": "consume",
  "GET /ui/": "somebody",
  "GET /ui/app.js": "somebody",
  "GET /nowhere": "somebody",
  "POST /log.v1.Log/Nothing": "somebody",
};

/** Whoever gets as far as a decision: by the only right they have, and one who has none. */
const known = [...actions, "nobody"] as const;
type Known = (typeof known)[number];
/** in: let through, whatever came of it then · denied: known, and may not · nameless: not known · shut: no connection. */
type Heard = "in" | "denied" | "nameless" | "shut";

let strict: Served;
let lenient: Served;
const certificates = new Map<string, Issued>();
let ca: Issued;
let peerCa: Issued;
const closing = new AsyncDisposableStack();
const instruments = new Instruments();

before(async () => {
  const [clients, peers, strangers] = await Promise.all([
    testAuthority("Clients"),
    testAuthority("Peers"),
    testAuthority("Strangers"),
  ]);
  const directory = scratch({ after: (work) => closing.defer(work) });
  const options = {
    server: writeTlsFiles(directory, "server", await clients.node(), clients.issued),
    peer: writeTlsFiles(directory, "peer", await peers.node("peer"), peers.issued),
    metrics: instruments,
  };
  const access = await AccessControl.open({
    policy: actions.map((action) => `p, ${action}, *, ${action}\n`).join(""),
  });
  const open = (clientAuth: "require" | "optional"): Promise<Served> =>
    serve({
      tls: closing.use(new NodeTls({ ...options, clientAuth })),
      access,
      fastPath: createFastPath,
      handlers: {
        raft: (socket, identity) => socket.end(access.check(identity, logObject, "peer") ? "in" : "denied"),
      },
      pages: (exchange) => {
        exchange.send(200, {}, "a page");
        return true;
      },
    });
  strict = closing.use(await open("require"));
  lenient = closing.use(await open("optional"));
  for (const served of [strict, lenient]) await served.log.append(encodeRun([{ value: Buffer.from("x") }]));
  for (const name of known) certificates.set(name, await clients.client(name));
  certificates.set("wrong CA", await strangers.client("produce"));
  certificates.set("a peer", await peers.node("node-2"));
  certificates.set("expired", await clients.client("produce", { agoMs: 12 * 3_600_000 }));
  [ca, peerCa] = [clients.issued, peers.issued];
});

after(() => closing.disposeAsync());

/** How many certificates were refused, by reason. */
const refusals = (): Record<string, number> =>
  Object.fromEntries(
    instruments
      .collect()
      .filter(({ name }) => name === "tailrace.tls.refused")
      .flatMap(({ points }) => points as { attributes: { reason: string }; value: number }[])
      .map(({ attributes, value }) => [attributes.reason, value]),
  );

/** Every service of the generated code. */
async function services(): Promise<DescService[]> {
  const modules = await Promise.all(
    globSync("src/gen/**/*_pb.js", { cwd: root }).map(
      (path) => import(pathToFileURL(join(root, path)).href) as Promise<Record<string, unknown>>,
    ),
  );
  const isService = (one: unknown): one is DescService =>
    typeof one === "object" && one !== null && "kind" in one && one.kind === "service";
  return modules.flatMap((module) => Object.values(module).filter(isService));
}

const tlsOf = (caller: string) => {
  const pair = certificates.get(caller);
  return {
    ca: [ca.certificatePem, peerCa.certificatePem],
    servername: "localhost",
    ...(pair === undefined ? {} : { cert: pair.certificatePem, key: pair.keyPem }),
  };
};

const isUnary = ({ methodKind }: DescMethod): boolean => methodKind === "unary";

/** How each protocol asks with an empty message, for at most a second. */
const protocols: Readonly<
  Record<string, (method: DescMethod) => { type: string; body: Buffer; timeout: Record<string, string> }>
> = {
  gRPC: () => ({ type: "application/grpc", body: Buffer.alloc(5), timeout: { "grpc-timeout": "1S" } }),
  "gRPC-Web": () => ({
    type: "application/grpc-web+proto",
    body: Buffer.alloc(5),
    timeout: { "grpc-timeout": "1S" },
  }),
  Connect: (method) => ({
    type: isUnary(method) ? "application/proto" : "application/connect+proto",
    body: Buffer.alloc(isUnary(method) ? 0 : 5),
    timeout: { "connect-protocol-version": "1", "connect-timeout-ms": "1000" },
  }),
};

/** Calls a method, and tells what was heard from all that came back: headers, body, trailers. */
async function call(session: ClientHttp2Session, method: DescMethod, protocol: string): Promise<Heard> {
  const ask = protocols[protocol]!(method);
  const stream = session.request({
    ":method": "POST",
    ":path": `/${method.parent.typeName}/${method.name}`,
    "content-type": ask.type,
    te: "trailers",
    ...ask.timeout,
  });
  let heard = "";
  const note = (headers: object): void => {
    heard += Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\n`)
      .join("");
  };
  stream.on("response", note).on("trailers", note);
  stream.on("data", (bytes: Buffer) => {
    heard += bytes.toString("latin1");
  });
  stream.end(ask.body);
  await once(stream, "close");
  assert.match(heard, /:status: /, `${method.name} was answered`);
  return heardIn(heard);
}

/** From an answer of any protocol: gRPC's number, or Connect's and our own word. */
function heardIn(answer: string): Heard {
  if (/grpc-status: 7\b|"code":"permission_denied"/.test(answer)) return "denied";
  if (/grpc-status: 16\b|"code":"unauthenticated"/.test(answer)) return "nameless";
  return "in";
}

/** A connection of HTTP/2, or undefined when there is none to be had. */
function sessionOf(served: Served, caller: string): Promise<ClientHttp2Session | undefined> {
  return new Promise((resolve) => {
    const options = { host: "127.0.0.1", port: served.port, ALPNProtocols: ["h2"], ...tlsOf(caller) };
    // Node's HTTP/2 client does not say that an idle connection was shut, the socket below it does.
    const socket = connectTls(options);
    for (const ending of ["error", "close"]) {
      socket.on(ending, () => {
        socket.destroy();
        resolve(undefined);
      });
    }
    const session = connectHttp2(served.url, { createConnection: () => socket });
    session.on("error", () => undefined).once("remoteSettings", () => resolve(session));
  });
}

async function askRpcs(served: Served, caller: string): Promise<Record<string, Heard>> {
  const methods = (await services()).flatMap(({ methods }) => methods);
  const asked = methods.flatMap((method) => Object.keys(protocols).map((protocol) => ({ method, protocol })));
  const session = await sessionOf(served, caller);
  const heard = await Promise.all(
    asked.map(async ({ method, protocol }) => {
      const outcome = session === undefined ? "shut" : await call(session, method, protocol);
      return [`${method.parent.typeName}/${method.name} ${protocol}`, outcome] as const;
    }),
  );
  session?.destroy();
  return Object.fromEntries(heard);
}

const expectedOfRpcs = (outcome: (takes: Takes) => Heard): Record<string, Heard> =>
  Object.fromEntries(
    Object.entries(rpcs).flatMap(([rpc, takes]) =>
      Object.keys(protocols).map((protocol) => [`${rpc} ${protocol}`, outcome(takes)]),
    ),
  );

/** What a route of HTTP/1.1 says. */
function askRoute(served: Served, caller: string, route: string): Promise<Heard> {
  const [method = "", path = ""] = route.split(" ");
  return new Promise((resolve) => {
    const request = httpsRequest(
      `${served.url}${path}`,
      { ...tlsOf(caller), method, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => {
          const named = heardIn(text);
          const status = response.statusCode ?? 0;
          assert.equal(status === 403, named === "denied", `${route}: ${status} ${text}`);
          assert.equal(status === 401, named === "nameless", `${route}: ${status} ${text}`);
          resolve(named);
        });
        response.on("error", () => resolve("shut"));
      },
    );
    request.on("error", () => resolve("shut"));
    request.end(method === "POST" ? '{"record":{"value":""}}' : undefined);
  });
}

async function askRoutes(served: Served, caller: string): Promise<Record<string, Heard>> {
  const heard: Record<string, Heard> = {};
  for (const route of Object.keys(routes)) heard[route] = await askRoute(served, caller, route);
  return heard;
}

const expectedOfRoutes = (outcome: (takes: Takes) => Heard): Record<string, Heard> =>
  Object.fromEntries(Object.entries(routes).map(([route, takes]) => [route, outcome(takes)]));

test("the table names every method of the generated code, and what is served is what was generated", async () => {
  const all = await services();
  const generated = all.flatMap(({ typeName, methods }) => methods.map(({ name }) => `${typeName}/${name}`));
  assert.deepEqual(Object.keys(rpcs).sort(), generated.sort());
  const { ca: authorities, cert, key } = tlsOf("describe");
  const transport = createGrpcTransport({
    baseUrl: strict.url,
    nodeOptions: { ca: authorities, ...(cert === undefined ? {} : { cert, key }) },
  });
  const ask = async function* () {
    yield { messageRequest: { case: "listServices" as const, value: "" } };
  };
  for await (const { messageResponse } of createClient(ServerReflection, transport).serverReflectionInfo(
    ask(),
  )) {
    assert.equal(messageResponse.case, "listServicesResponse");
    assert.deepEqual(
      messageResponse.value.service.map(({ name }) => name).sort(),
      all.map(({ typeName }) => typeName).sort(),
    );
  }
});

for (const name of known) {
  const outcome = (takes: Takes): Heard =>
    takes === "somebody" || takes === (name as Known) ? "in" : "denied";
  const who = name === "nobody" ? "a caller without any right" : `a caller who may only ${name}`;
  test(`${who} gets through the doors that take that, and no other`, { timeout: 300_000 }, async () => {
    assert.deepEqual(await askRpcs(strict, name), expectedOfRpcs(outcome));
    assert.deepEqual(await askRoutes(strict, name), expectedOfRoutes(outcome));
  });
}

for (const caller of ["nothing", "wrong CA", "expired", "a peer"]) {
  const words = caller === "nothing" ? "no certificate" : `the certificate of ${caller}`;
  test(`with ${words} there is no door at all`, { timeout: 300_000 }, async () => {
    const before = refusals();
    assert.deepEqual(
      await askRpcs(strict, caller),
      expectedOfRpcs(() => "shut"),
    );
    assert.deepEqual(
      await askRoutes(strict, caller),
      expectedOfRoutes(() => "shut"),
    );
    const reason = { nothing: "missing", "a peer": "wrong CA" }[caller] ?? caller;
    const counted = Object.entries(refusals()).filter(([name, count]) => count !== before[name]);
    assert.deepEqual(
      counted.map(([name]) => name),
      [reason],
      "and the reason was counted",
    );
  });
}

test("where certificates are optional, a caller without one is told to bring one, at every door", {
  timeout: 300_000,
}, async () => {
  assert.deepEqual(
    await askRpcs(lenient, "nothing"),
    expectedOfRpcs(() => "nameless"),
  );
  const heard = await askRoutes(lenient, "nothing");
  assert.deepEqual(
    heard,
    expectedOfRoutes((takes) => (takes === "somebody" ? "in" : "nameless")),
  );
  for (const caller of ["wrong CA", "expired", "a peer"]) {
    assert.deepEqual(
      await askRpcs(lenient, caller),
      expectedOfRpcs(() => "shut"),
      caller,
    );
    assert.deepEqual(
      await askRoutes(lenient, caller),
      expectedOfRoutes(() => "nameless"),
      caller,
    );
  }
});

test("the peers' door opens to the peers' CA alone", async () => {
  const knock = async (served: Served, caller: string, servername: string): Promise<string> => {
    const socket = connectTls({
      ...tlsOf(caller),
      host: "127.0.0.1",
      port: served.port,
      servername,
      checkServerIdentity: () => undefined,
      ALPNProtocols: [peerProtocol],
    });
    try {
      for await (const bytes of socket) return String(bytes);
      return "shut";
    } catch {
      return "shut";
    } finally {
      socket.destroy();
    }
  };
  for (const served of [strict, lenient]) {
    for (const servername of ["localhost", "peer.tailrace"]) {
      for (const caller of [...known, "nothing", "wrong CA", "expired"])
        assert.equal(await knock(served, caller, servername), "shut", `${caller} asks for ${servername}`);
    }
    // The policy of this test speaks of peer, so that a certificate alone makes nobody one.
    assert.equal(await knock(served, "a peer", "peer.tailrace"), "denied");
  }
});

test("plaintext, of HTTP or of a peer, opens nothing on a port that speaks TLS", async () => {
  const say = async (bytes: string | Buffer): Promise<string> => {
    const socket = connectTcp(strict.port, "127.0.0.1");
    socket.write(bytes);
    let heard = "";
    for await (const chunk of socket) heard += String(chunk);
    return heard;
  };
  assert.match(
    await say("GET /?offset=0 HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    /^HTTP\/1\.1 400 .*this port speaks TLS/s,
  );
  assert.match(await say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), /this port speaks TLS/);
  assert.equal(await say(Buffer.from([0xa7, 1, 2, 3])), "", "the marker of a Raft peer");
});

test("the ops port asks for no certificate, and shows probes and metrics only", async () => {
  await using ops = await OpsServer.open({
    port: 0,
    prometheus: async () => "up 1\n",
    version: { version: "1" },
  });
  const ask = (method: string, path: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(`http://${ops.address}${path}`, { method, agent: false }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      request.on("error", reject);
      request.end();
    });
  for (const path of ["/livez", "/healthz", "/readyz", "/readyz?verbose", "/metrics", "/version"])
    assert.equal(await ask("GET", path), 200, path);
  for (const path of ["/", "/tail", "/ui/", ...Object.keys(rpcs).map((rpc) => `/${rpc}`)]) {
    assert.equal(await ask("GET", path), 404, path);
    assert.equal(await ask("POST", path), 405, path);
  }
});
