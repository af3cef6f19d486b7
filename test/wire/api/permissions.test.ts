/**
 * Every RPC of the generated code in each protocol, and each HTTP route, called by clients that have one permission each
 * and by clients that must not connect at all. The tables repeat by hand which permission each method requires, so a new
 * method without an entry and a wrong entry in method-permissions.ts are found.
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
import { AccessControl, type Action, actions, logObject } from "../../../src/access/mod.ts";
import { createFastPath } from "../../../src/api/mod.ts";
import type { Issued } from "../../../src/cli/certs/build.ts";
import { ServerReflection } from "../../../src/gen/grpc/reflection/v1/reflection_pb.js";
import { encodeRun } from "../../../src/log/mod.ts";
import { OpsServer } from "../../../src/server/ops/ops-server.ts";
import { NodeTls } from "../../../src/server/tls/node-tls.ts";
import { peerProtocol } from "../../../src/server/tls/peer-protocol.ts";
import { Instruments } from "../../../src/telemetry/instruments.ts";
import { makeSigningKey } from "../../../src/tokens/issue-token.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { root } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import { TestTokens, testAudience } from "../../support/tokens/test-tokens.ts";

/** What a method requires: a permission, or only an authenticated client. */
type Required = Action | "authenticated";

const rpcs: Readonly<Record<string, Required>> = {
  "log.v1.Log/Produce": "produce",
  "log.v1.Log/ProduceStream": "produce",
  "log.v1.Log/ProduceBatch": "produce",
  "log.v1.Log/ProduceBulk": "produce",
  "log.v1.Log/Consume": "consume",
  "log.v1.Log/ConsumeStream": "consume",
  "log.v1.Log/ConsumeBatches": "consume",
  "log.v1.Log/GetServers": "authenticated",
  "log.v1.Log/Describe": "describe",
  "log.v1.Log/Watch": "describe",
  "log.v1.Log/Trim": "trim",
  "log.v1.Logs/CreateLog": "create",
  "log.v1.Logs/GetLog": "describe",
  "log.v1.Logs/ListLogs": "describe",
  "log.v1.Logs/TailLogs": "consume",
  "log.v1.Logs/UpdateLog": "configure",
  "log.v1.Logs/CloseLog": "configure",
  "log.v1.Logs/DeleteLog": "delete",
  "log.v1.Cursors/Get": "cursor",
  "log.v1.Cursors/Commit": "cursor",
  "log.v1.Cursors/List": "describe",
  "log.v1.Cursors/Delete": "cursor",
  "log.v1.Cluster/Members": "describe",
  "log.v1.Cluster/Status": "authenticated",
  "log.v1.Cluster/WhoAmI": "authenticated",
  "log.v1.Cluster/Event": "admin",
  "log.v1.Cluster/Query": "admin",
  "log.v1.Cluster/AddNode": "admin",
  "log.v1.Cluster/RemoveNode": "admin",
  "log.v1.Cluster/TransferLeadership": "admin",
  "log.v1.Cluster/Backup": "admin",
  "log.v1.Tokens/AddTokenKey": "admin",
  "log.v1.Tokens/RemoveTokenKey": "admin",
  "log.v1.Tokens/ListTokenKeys": "admin",
  "log.v1.Tokens/RevokeToken": "admin",
  "log.v1.Tokens/ListRevokedTokens": "admin",
  "grpc.health.v1.Health/Check": "authenticated",
  "grpc.health.v1.Health/List": "authenticated",
  "grpc.health.v1.Health/Watch": "authenticated",
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": "describe",
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "describe",
};

/** HTTP routes. The files of the dashboard are not secret, so they only require an authenticated client. */
const routes: Readonly<Record<string, Required>> = {
  "POST /": "produce",
  "GET /?offset=0": "consume",
  "GET /tail?from=start&limit=1": "consume",
  "GET /cursors": "describe",
  "GET /cursors/a": "cursor",
  "PUT /cursors/a": "cursor",
  "DELETE /cursors/a": "cursor",
  "GET /ui/": "authenticated",
  "GET /ui/app.js": "authenticated",
  "GET /nowhere": "authenticated",
  "POST /log.v1.Log/Nothing": "authenticated",
};

/** The authenticated clients, named after the only permission that each one has; "no permission" has none. */
const known = [...actions, "no permission"] as const;
type Known = (typeof known)[number];
/** allowed: the method ran, with whatever result; denied; unauthenticated; refused: no connection. */
/** limited: after many failed attempts of an address. */
type Outcome = "allowed" | "denied" | "unauthenticated" | "limited" | "refused";

let strict: Served;
let lenient: Served;
/** Requires a certificate or a token. */
let tokened: Served;
/** Client → its token. */
const tokens = new Map<string, string>();
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
    policy: `${actions.map((action) => `p, ${action}, *, ${action}\n`).join("")}p, everything, *, *\n`,
  });
  const issued = await TestTokens.make();
  const open = (clientAuth: "require" | "optional" | "token", rules = access): Promise<Served> =>
    serve({
      tls: closing.use(new NodeTls({ ...options, clientAuth })),
      access: rules,
      ...(clientAuth === "token" ? { tokens: issued.verifier } : {}),
      fastPath: createFastPath,
      handlers: {
        raft: (socket, identity) =>
          socket.end(access.check(identity, logObject, "peer") ? "allowed" : "denied"),
      },
      pages: (exchange) => {
        exchange.send(200, {}, "a page");
        return true;
      },
    });
  strict = closing.use(await open("require"));
  lenient = closing.use(await open("optional"));
  // The policy gives `anonymous` everything, and still nothing without a credential is served.
  const generous = await AccessControl.open(
    {
      policy: `${actions.map((action) => `p, ${action}, *, ${action}\n`).join("")}p, everything, *, *\np, anonymous, *, *\n`,
    },
    { refuseAnonymous: true },
  );
  issued.onChange = () => generous.recheck();
  tokened = closing.use(await open("token", generous));
  for (const name of known) {
    tokens.set(`the token of ${name}`, await issued.issue(name));
    const scope = name === "peer" || name === "no permission" ? "" : `logs=*:${name}`;
    tokens.set(`a token with the scope ${name}`, await issued.issue("everything", { scope }));
  }
  const stranger = { ...(await makeSigningKey()), audience: testAudience };
  tokens.set("a token of another key", await issued.issue("everything", { key: stranger }));
  tokens.set(
    "a token of another cluster",
    await issued.issue("everything", { key: { ...issued.key, audience: "another" } }),
  );
  tokens.set("a revoked token", await issued.issue("everything", { id: "revoked" }));
  issued.change({ kind: "revoke", id: "revoked", untilMs: Number.MAX_SAFE_INTEGER });
  issued.nowMs = () => Date.now() - 7_200_000;
  tokens.set("an expired token", await issued.issue("everything", { lifeMs: 3_600_000 }));
  issued.nowMs = () => Date.now();
  for (const served of [strict, lenient, tokened])
    await served.log.append(encodeRun([{ value: Buffer.from("x") }]));
  for (const name of known) certificates.set(name, await clients.client(name));
  certificates.set("wrong CA", await strangers.client("produce"));
  certificates.set("a peer", await peers.node("node-2"));
  certificates.set("expired", await clients.client("produce", { agoMs: 12 * 3_600_000 }));
  [ca, peerCa] = [clients.issued, peers.issued];
});

after(() => closing.disposeAsync());

/** The number of refused certificates, by reason. */
const refusals = (): Record<string, number> =>
  Object.fromEntries(
    instruments
      .collect()
      .filter(({ name }) => name === "tailrace.tls.refused")
      .flatMap(({ points }) => points as { attributes: { reason: string }; value: number }[])
      .map(({ attributes, value }) => [attributes.reason, value]),
  );

/** All services of the generated code. */
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

const tlsOf = (client: string) => {
  const pair = certificates.get(client);
  return {
    ca: [ca.certificatePem, peerCa.certificatePem],
    servername: "localhost",
    ...(pair === undefined ? {} : { cert: pair.certificatePem, key: pair.keyPem }),
  };
};

const headersOf = (client: string): Record<string, string> => {
  const token = tokens.get(client);
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
};

const isUnary = ({ methodKind }: DescMethod): boolean => methodKind === "unary";

/** A request with an empty message and a timeout of one second, in each protocol. */
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

/** Calls a method and returns the outcome, read from headers, body and trailers. */
async function call(
  session: ClientHttp2Session,
  method: DescMethod,
  protocol: string,
  headers: Record<string, string>,
): Promise<Outcome> {
  const ask = protocols[protocol]!(method);
  const stream = session.request({
    ":method": "POST",
    ":path": `/${method.parent.typeName}/${method.name}`,
    "content-type": ask.type,
    te: "trailers",
    ...ask.timeout,
    ...headers,
  });
  let text = "";
  const note = (headers: object): void => {
    text += Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\n`)
      .join("");
  };
  stream.on("response", note).on("trailers", note);
  stream.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
  });
  stream.end(ask.body);
  await once(stream, "close");
  assert.match(text, /:status: /, `${method.name} has a response`);
  return outcomeIn(text);
}

/** Reads the outcome from a response of any protocol: the number of gRPC, or the name of the code. */
function outcomeIn(response: string): Outcome {
  if (/grpc-status: 7\b|"code":"permission_denied"/.test(response)) return "denied";
  if (/grpc-status: 16\b|"code":"unauthenticated"/.test(response)) return "unauthenticated";
  if (/grpc-status: 8\b|"code":"resource_exhausted"/.test(response)) return "limited";
  return "allowed";
}

/** Opens an HTTP/2 connection. Resolves to undefined if the server refuses it. */
function sessionOf(
  served: Served,
  client: string,
  localAddress?: string,
): Promise<ClientHttp2Session | undefined> {
  return new Promise((resolve) => {
    const local = localAddress === undefined ? {} : { localAddress };
    const options = {
      host: "127.0.0.1",
      port: served.port,
      ALPNProtocols: ["h2"],
      ...local,
      ...tlsOf(client),
    };
    // Node's HTTP/2 client does not report that an idle connection was closed; its socket does.
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

async function callRpcs(
  served: Served,
  client: string,
  localAddress = "127.0.0.1",
): Promise<Record<string, Outcome>> {
  const methods = (await services()).flatMap(({ methods }) => methods);
  const asked = methods.flatMap((method) => Object.keys(protocols).map((protocol) => ({ method, protocol })));
  const session = await sessionOf(served, client, localAddress);
  const outcomes = await Promise.all(
    asked.map(async ({ method, protocol }) => {
      const outcome =
        session === undefined ? "refused" : await call(session, method, protocol, headersOf(client));
      return [`${method.parent.typeName}/${method.name} ${protocol}`, outcome] as const;
    }),
  );
  session?.destroy();
  return Object.fromEntries(outcomes);
}

const expectedOfRpcs = (outcome: (required: Required) => Outcome): Record<string, Outcome> =>
  Object.fromEntries(
    Object.entries(rpcs).flatMap(([rpc, required]) =>
      Object.keys(protocols).map((protocol) => [`${rpc} ${protocol}`, outcome(required)]),
    ),
  );

/** Calls a route over HTTP/1.1 and returns the outcome. */
function callRoute(served: Served, client: string, route: string): Promise<Outcome> {
  const [method = "", path = ""] = route.split(" ");
  return new Promise((resolve) => {
    const request = httpsRequest(
      `${served.url}${path}`,
      { ...tlsOf(client), method, agent: false, headers: headersOf(client) },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => {
          const named = outcomeIn(text);
          const status = response.statusCode ?? 0;
          assert.equal(status === 403, named === "denied", `${route}: ${status} ${text}`);
          assert.equal(status === 401, named === "unauthenticated", `${route}: ${status} ${text}`);
          resolve(named);
        });
        response.on("error", () => resolve("refused"));
      },
    );
    request.on("error", () => resolve("refused"));
    request.end(method === "POST" ? '{"record":{"value":""}}' : undefined);
  });
}

async function callRoutes(served: Served, client: string): Promise<Record<string, Outcome>> {
  const outcomes: Record<string, Outcome> = {};
  for (const route of Object.keys(routes)) outcomes[route] = await callRoute(served, client, route);
  return outcomes;
}

const expectedOfRoutes = (outcome: (required: Required) => Outcome): Record<string, Outcome> =>
  Object.fromEntries(Object.entries(routes).map(([route, required]) => [route, outcome(required)]));

test("the table names every generated method, and reflection lists every generated service", async () => {
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
  const outcome = (required: Required): Outcome =>
    required === "authenticated" || required === (name as Known) ? "allowed" : "denied";
  const who = name === "no permission" ? "a client without any permission" : `a client that may only ${name}`;
  test(`${who} may call exactly the methods that require no other permission`, {
    timeout: 300_000,
  }, async () => {
    assert.deepEqual(await callRpcs(strict, name), expectedOfRpcs(outcome));
    assert.deepEqual(await callRoutes(strict, name), expectedOfRoutes(outcome));
  });
}

for (const client of ["nothing", "wrong CA", "expired", "a peer"]) {
  const words = client === "nothing" ? "no certificate" : `the certificate of ${client}`;
  test(`with ${words} no connection is accepted`, { timeout: 300_000 }, async () => {
    const before = refusals();
    assert.deepEqual(
      await callRpcs(strict, client),
      expectedOfRpcs(() => "refused"),
    );
    assert.deepEqual(
      await callRoutes(strict, client),
      expectedOfRoutes(() => "refused"),
    );
    const reason = { nothing: "missing", "a peer": "wrong CA" }[client] ?? client;
    const counted = Object.entries(refusals()).filter(([name, count]) => count !== before[name]);
    assert.deepEqual(
      counted.map(([name]) => name),
      [reason],
      "the reason is counted",
    );
  });
}

test("where certificates are optional, a client without one is unauthenticated for every method", {
  timeout: 300_000,
}, async () => {
  assert.deepEqual(
    await callRpcs(lenient, "nothing"),
    expectedOfRpcs(() => "unauthenticated"),
  );
  const outcomes = await callRoutes(lenient, "nothing");
  assert.deepEqual(
    outcomes,
    expectedOfRoutes((required) => (required === "authenticated" ? "allowed" : "unauthenticated")),
  );
  for (const client of ["wrong CA", "expired", "a peer"]) {
    assert.deepEqual(
      await callRpcs(lenient, client),
      expectedOfRpcs(() => "refused"),
      client,
    );
    assert.deepEqual(
      await callRoutes(lenient, client),
      expectedOfRoutes(() => "unauthenticated"),
      client,
    );
  }
});

test("where a certificate or a token is required, a client without either is unauthenticated, whatever the policy says", {
  timeout: 300_000,
}, async () => {
  assert.deepEqual(
    await callRpcs(tokened, "nothing"),
    expectedOfRpcs(() => "unauthenticated"),
  );
  assert.deepEqual(
    await callRoutes(tokened, "nothing"),
    expectedOfRoutes((required) => (required === "authenticated" ? "allowed" : "unauthenticated")),
  );
  assert.deepEqual(
    await callRpcs(tokened, "consume"),
    expectedOfRpcs((required) => (["authenticated", "consume"].includes(required) ? "allowed" : "denied")),
  );
});

for (const name of known)
  for (const client of [`the token of ${name}`, `a token with the scope ${name}`])
    test(`${client} opens exactly the methods that require no other permission`, {
      timeout: 300_000,
    }, async () => {
      const outcome = (required: Required): Outcome =>
        required === "authenticated" || (required === name && name !== "peer") ? "allowed" : "denied";
      // The first time, Connect's handlers serve the requests; then the token is known, and the fast path does.
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await callRpcs(tokened, client), expectedOfRpcs(outcome));
        assert.deepEqual(await callRoutes(tokened, client), expectedOfRoutes(outcome));
      }
    });

for (const [place, client] of [
  "a token of another key",
  "a token of another cluster",
  "a revoked token",
  "an expired token",
].entries())
  test(`${client} opens nothing, also for a holder of a certificate`, { timeout: 300_000 }, async () => {
    const holder = `${client}, and a certificate`;
    tokens.set(holder, tokens.get(client)!);
    certificates.set(holder, certificates.get("consume")!);
    for (const [half, one] of [client, holder].entries()) {
      // Each address has attempts of its own. On a busy machine the calls of one test are more than these.
      const outcomes = await callRpcs(tokened, one, `127.0.${place + 1}.${half + 1}`);
      const found = new Set(Object.values(outcomes));
      assert.ok(found.delete("unauthenticated"));
      found.delete("limited");
      assert.deepEqual([...found], []);
    }
  });

test("the peer protocol accepts only certificates of the peer CA", async () => {
  const connectAs = async (served: Served, client: string, servername: string): Promise<string> => {
    const socket = connectTls({
      ...tlsOf(client),
      host: "127.0.0.1",
      port: served.port,
      servername,
      checkServerIdentity: () => undefined,
      ALPNProtocols: [peerProtocol],
    });
    try {
      for await (const bytes of socket) return String(bytes);
      return "refused";
    } catch {
      return "refused";
    } finally {
      socket.destroy();
    }
  };
  for (const served of [strict, lenient]) {
    for (const servername of ["localhost", "peer.tailrace"]) {
      for (const client of [...known, "nothing", "wrong CA", "expired"])
        assert.equal(
          await connectAs(served, client, servername),
          "refused",
          `${client} asks for ${servername}`,
        );
    }
    // The policy of this test has rules for the action peer, so a peer certificate alone is not enough.
    assert.equal(await connectAs(served, "a peer", "peer.tailrace"), "denied");
  }
});

test("plaintext HTTP and plaintext peers are refused on a TLS port", async () => {
  const say = async (bytes: string | Buffer): Promise<string> => {
    const socket = connectTcp(strict.port, "127.0.0.1");
    socket.write(bytes);
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    return text;
  };
  assert.match(
    await say("GET /?offset=0 HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    /^HTTP\/1\.1 400 .*this port requires TLS/s,
  );
  assert.match(await say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), /this port requires TLS/);
  assert.equal(await say(Buffer.from([0xa7, 1, 2, 3])), "", "the marker of a Raft peer");
});

test("the ops port requires no certificate and serves only probes and metrics", async () => {
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
