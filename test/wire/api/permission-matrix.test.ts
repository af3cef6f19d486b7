/**
 * Every door to a log × every permission × every credential, on one node with named logs, from one table of doors. The table is
 * compared with the permissions of the routes and with the generated services, so a door without an entry is found.
 *
 *   door        an HTTP route, or an RPC that names a log in gRPC, gRPC-Web and Connect; permissions.test.ts has all other RPCs
 *   permission  a subject that has only this one, one that has all, one without any, and one that has all of other logs
 *   credential  a certificate; a token of the cluster, or of an OpenID provider, with and without scopes; a session with each of them;
 *               tickets; no credential; tokens and cookies that are not valid: matrix-credentials.ts
 *
 * A refusal is the same whether the log exists or not.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { create, type DescMethod, toBinary } from "@bufbuild/protobuf";
import { AccessControl } from "../../../src/access/mod.ts";
import * as permissions from "../../../src/api/calls/method-permissions.ts";
import { createFastPath } from "../../../src/api/mod.ts";
import type { Issued } from "../../../src/cli/certs/build.ts";
import { Cursors, Log, Logs, RecordSchema } from "../../../src/gen/log/v1/log_pb.js";
import { encodeRun } from "../../../src/log/mod.ts";
import { NodeTls } from "../../../src/server/tls/node-tls.ts";
import { type Door, doors, rpcs, withoutLog } from "../../support/http/doors.ts";
import { type Served, serve } from "../../support/http/serve.ts";
import { openOneNode } from "../../support/log/one-node-log.ts";
import { testAuthority, writeTlsFiles } from "../../support/process/certificates.ts";
import { root } from "../../support/process/process.ts";
import { scratch } from "../../support/scratch.ts";
import {
  allProtocols,
  type Caller,
  MatrixCredentials,
  type Subject,
  subjects,
} from "../../support/tokens/matrix-credentials.ts";

type Outcome = "allowed" | "denied" | "unauthenticated";

const closing = new AsyncDisposableStack();
let served: Served;
const credentials = await MatrixCredentials.make();
const { tokens } = credentials;
const certificates = new Map<string, Issued>();
let ca: Issued;
const sessions = new Map<string, ClientHttp2Session>();

before(async () => {
  const authority = await testAuthority();
  ca = authority.issued;
  for (const subject of subjects) certificates.set(subject, await authority.client(subject));
  const directory = scratch({ after: (work) => closing.defer(work) });
  const files = writeTlsFiles(directory, "server", await authority.node(), ca);
  const access = await AccessControl.open({ policy: credentials.policy }, { refuseAnonymous: true });
  tokens.onChange = () => access.recheck();
  const node = closing.use(await openOneNode(directory));
  const { log } = node.replica;
  served = closing.use(
    await serve({
      tls: closing.use(new NodeTls({ server: files, clientAuth: "token" })),
      access,
      tokens: tokens.verifier,
      tickets: tokens.tickets,
      login: { sessions: credentials.sessions },
      fastPath: createFastPath,
      log,
      named: log.named,
    }),
  );
  // The name in the requests is that of the certificate.
  credentials.origin = `https://localhost:${served.port}`;
  await log.append(encodeRun([{ value: Buffer.from("x") }]));
  await log.named.admin.creation.create("there", { contentType: "text/plain" });
  await log.named.open({ name: "there" }).append(encodeRun([{ value: Buffer.from("x") }]));
});

after(async () => {
  for (const session of sessions.values()) session.destroy();
  await closing.disposeAsync();
});

/** A connection with the certificate of a subject, or with none. */
function sessionOf(subject: string | undefined): ClientHttp2Session {
  const known = sessions.get(subject ?? "");
  if (known !== undefined) return known;
  const pair = subject === undefined ? undefined : certificates.get(subject);
  const session = connect(served.url, {
    ca: ca.certificatePem,
    servername: "localhost",
    ...(pair === undefined ? {} : { cert: pair.certificatePem, key: pair.keyPem }),
  });
  session.setMaxListeners(0);
  sessions.set(subject ?? "", session);
  return session;
}

interface Answer {
  readonly outcome: Outcome;
  /** Head, body and trailers, without the names of logs, and dates. */
  readonly text: string;
}

/** Sends a request. The outcome is known with the first bytes of a response that is no error. */
function send(
  caller: Caller,
  head: Readonly<Record<string, string>>,
  body?: string | Uint8Array,
): Promise<Answer> {
  const stream = sessionOf(caller.certificate).request({
    ...head,
    ...caller.headers,
  });
  return new Promise((resolve) => {
    let seen = "";
    const note = (fields: object): void => {
      for (const [name, value] of Object.entries(fields)) if (name !== "date") seen += `${name}: ${value}\n`;
    };
    const settle = (): void => {
      const text = seen
        .replaceAll(/(?<=grpc-status-details-bin: )[\w+/=]+/g, (details) => atob(details))
        .replaceAll(/there|gone5/g, "LOG")
        .replaceAll(/"details":\[.*?\]/gs, "");
      resolve({ outcome: outcomeOf(text), text });
      stream.destroy();
    };
    stream.on("response", note).on("trailers", note);
    let isMessage: boolean | undefined;
    stream.on("data", (chunk: Buffer) => {
      seen += chunk.toString("latin1");
      // The end of a stream of Connect or gRPC-Web, which can be an error, has a flag in its first byte.
      isMessage ??= chunk[0] === 0 || !/^content-type: application\/(grpc-web|connect)/m.test(seen);
      if (isMessage && /^:status: 2/m.test(seen)) settle();
    });
    stream.on("close", settle).on("error", () => undefined);
    stream.end(body);
  });
}

function outcomeOf(text: string): Outcome {
  if (/^:status: 403|grpc-status: ?7\b|"code":"permission_denied"/m.test(text)) return "denied";
  if (/^:status: 401|grpc-status: ?16\b|"code":"unauthenticated"/m.test(text)) return "unauthenticated";
  return "allowed";
}

function open(caller: Caller, { request, headers = {}, body }: Door, log: string): Promise<Answer> {
  const [method = "", path = ""] = request.replaceAll("LOG", log).split(" ");
  const ticket =
    caller.ticket === undefined ? "" : `${path.includes("?") ? "&" : "?"}ticket=${caller.ticket}`;
  return send(
    caller,
    { ":method": method, ":path": `${path}${ticket}`, ...headers },
    body?.replaceAll("LOG", log),
  );
}

const ofLogs = [Log, Logs, Cursors].flatMap((service) => service.methods as DescMethod[]);
const nameOf = ({ parent, name }: DescMethod): string => `${parent.typeName.replace("log.v1.", "")}/${name}`;

/** Calls an RPC about a log. One that would change it states an id that no log has. */
function call(caller: Caller, method: DescMethod, protocol: string, log: string): Promise<Answer> {
  const message = create(method.input) as unknown as Record<string, unknown>;
  const has = (field: string): boolean => method.input.fields.some(({ localName }) => localName === field);
  if (has("names")) message["names"] = [log];
  else message[has("log") ? "log" : "name"] = log;
  if (method.parent === Cursors && has("name")) message["name"] = "c";
  if (has("record")) message["record"] = create(RecordSchema);
  if (/^(Delete|Update|Close)Log$/.test(method.name)) message["logId"] = "1-1";
  const bytes = toBinary(method.input, message as never);
  const enveloped = Buffer.concat([Buffer.alloc(5), bytes]);
  enveloped.writeUInt32BE(bytes.length, 1);
  const isUnary = protocol === "proto" && method.methodKind === "unary";
  const type = protocol === "proto" && !isUnary ? "connect+proto" : protocol;
  const head = { ":method": "POST", ":path": `/${method.parent.typeName}/${method.name}` };
  return send(
    caller,
    {
      ...head,
      "content-type": `application/${type}`,
      te: "trailers",
      "grpc-timeout": "9S",
      "connect-timeout-ms": "9000",
    },
    isUnary ? bytes : enveloped,
  );
}

function expected({ needs, ofSome }: Pick<Door, "needs" | "ofSome">, subject: Subject): Outcome {
  if (needs === "authenticated" || subject === "everything") return "allowed";
  if (subject === "elsewhere") return ofSome === true && needs.length === 1 ? "allowed" : "denied";
  return needs.length === 1 && needs[0] === subject ? "allowed" : "denied";
}

/** A caller at all doors. */
interface Trial {
  readonly caller: Caller;
  readonly outcome: (door: Pick<Door, "needs" | "ofSome">) => Outcome;
  readonly protocols: readonly string[];
  /** Refusals are compared with those for a log that does not exist. */
  readonly compares: boolean;
  readonly label: string;
}

async function tryAll(trial: Trial): Promise<void> {
  await Promise.all(
    doors.map((door) => tryOne(trial, door.request, door, (log) => open(trial.caller, door, log))),
  );
  const asked = ofLogs.filter((method) => nameOf(method) in rpcs);
  for (const protocol of trial.protocols)
    await Promise.all(
      asked.map((method) => {
        const needs = [rpcs[nameOf(method)]!];
        return tryOne(trial, `${nameOf(method)} ${protocol}`, { needs }, (log) =>
          call(trial.caller, method, protocol, log),
        );
      }),
    );
}

async function tryOne(
  { outcome, compares, label }: Trial,
  name: string,
  door: Pick<Door, "needs" | "ofSome">,
  ask: (log: string) => Promise<Answer>,
): Promise<void> {
  const found = await ask("there");
  assert.equal(found.outcome, outcome(door), `${label}: ${name}\n${found.text}`);
  if (found.outcome === "allowed" || !compares) return;
  assert.equal((await ask("gone5")).text, found.text, `${label}: ${name}, for a log that is not there`);
}

test("the tables have every route and every RPC that names a log, and no door has a permission of its own", () => {
  const isOne = (value: unknown): value is permissions.MethodPermission =>
    typeof value === "object" && value !== null && "long" in value;
  const all = Object.values(permissions).flatMap((value) =>
    typeof value === "function" ? [] : isOne(value) ? [value] : Object.values<unknown>(value).filter(isOne),
  );
  const routes = all.filter(({ name }) => name.includes("/") && !/^[a-z]+\./.test(name));
  assert.deepEqual(
    [...new Set(doors.map(({ permission }) => permission))].sort(),
    routes.map(({ name }) => name).sort(),
  );
  for (const { permission, needs } of doors) {
    const { action } = routes.find(({ name }) => name === permission)!;
    assert.ok(needs === "authenticated" ? action === undefined : needs.includes(action!), permission);
  }
  assert.deepEqual(ofLogs.map(nameOf).sort(), [...Object.keys(rpcs), ...withoutLog].sort());
  // The router serves these paths, and each of them is in the table.
  const router = readFileSync(join(root, "src/api/http/router.ts"), "utf8");
  const served = [...router.matchAll(/\b(?:path === ([\w"/]+)|(is\w+Path)\(path\))(?= *&&|\))/g)].map(
    ([, path, test]) => path ?? test,
  );
  const known = [
    '"/"',
    '"/tail"',
    "isCursorsPath",
    "isLogsPath",
    "isStreamPath",
    "isSitePath",
    "ticketsPath",
  ];
  assert.deepEqual([...new Set(served)].sort(), known.sort());
});

for (const [name, { of, protocols }] of Object.entries(credentials.valid))
  test(`with ${name}, each subject opens what its permission opens, and no other door`, {
    timeout: 300_000,
  }, async () => {
    for (const subject of subjects) {
      const caller = await of(subject);
      const outcome = (door: Pick<Door, "needs" | "ofSome">): Outcome => expected(door, subject);
      const compares = ["nothing", "elsewhere", "describe"].includes(subject);
      await tryAll({ caller, outcome, protocols, compares, label: `${subject} with ${name}` });
    }
  });

test("with a ticket, a caller opens the tails of its logs and no other door", {
  timeout: 300_000,
}, async () => {
  const holder = await tokens.verifier.identify(await tokens.issue("consume"), "192.0.2.7:1");
  const both = await tokens.verifier.identify(await tokens.issue("everything"), "192.0.2.7:1");
  const ticket =
    (logs: Parameters<typeof tokens.tickets.issue>[1], maker = holder) =>
    async (): Promise<Caller> => ({
      ticket: tokens.tickets.issue(maker, logs),
      certificate: "everything",
    });
  // A ticket that is not used stays open for a while, so each of these doors gets the same one.
  const unused = await ticket({ objects: ["*"] })();
  for (const door of doors.filter(({ isTail }) => isTail !== true))
    assert.match((await open(unused, door, "there")).text, /^:status: 400/, door.request);
  const tails = doors.filter(({ isTail }) => isTail === true);
  for (const door of tails) {
    const one = door.request.includes("log=default")
      ? ["there", "*"]
      : [door.ofDefault === true ? "*" : "there"];
    const logs = door.request.includes("prefix=") ? { prefix: "the" } : { objects: one };
    const asks = async (caller: () => Promise<Caller>, log = "there") =>
      (await open(await caller(), door, log)).outcome;
    const isSimple = door.needs.length === 1;
    assert.equal(await asks(ticket(logs)), isSimple ? "allowed" : "denied", door.request);
    assert.equal(await asks(ticket(logs, both)), "allowed", door.request);
    const others = door.ofDefault === true ? { prefix: "" } : { objects: ["*", "gone5"] };
    if (!door.request.includes("prefix="))
      assert.equal(await asks(ticket(others, both)), "denied", `${door.request}, of other logs`);
    const used = await ticket(logs, both)();
    assert.equal((await open(used, door, "there")).outcome, "allowed");
    assert.equal((await open(used, door, "there")).outcome, "unauthenticated", `${door.request}, used`);
  }
});

test("without a credential, and with one that is not valid, no door opens", {
  timeout: 300_000,
}, async () => {
  const { all, sparse } = await credentials.worthless();
  for (const [name, caller] of Object.entries(all)) {
    const isNone = caller.headers === undefined;
    await tryAll({
      caller,
      outcome: () => "unauthenticated",
      protocols: isNone ? allProtocols : ["grpc-web+proto"],
      compares: isNone,
      label: name,
    });
  }
  for (const [name, caller] of Object.entries(sparse)) {
    assert.equal((await open(caller, doors[1]!, "there")).outcome, "unauthenticated", name);
    assert.equal((await call(caller, ofLogs[0]!, "grpc", "there")).outcome, "unauthenticated", name);
  }
});

test("with the cookie of a session, a page of another site opens no door", { timeout: 300_000 }, async () => {
  const value = await credentials.session(tokens.issue("everything"));
  const own = await tryOutcomes(credentials.cookie(value), "allowed");
  assert.ok(own > doors.length);
  const others: readonly Readonly<Record<string, string>>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site", origin: credentials.origin.replace("https:", "http:") },
  ];
  for (const from of others) await tryOutcomes(credentials.cookie(value, from), undefined);
});

/** Tries all doors. `outcome` undefined: a read has no session, and another request is refused. Returns the number of doors. */
async function tryOutcomes(caller: Caller, outcome: Outcome | undefined): Promise<number> {
  const label = JSON.stringify(caller.headers);
  const of = (method: string): Outcome =>
    outcome ?? (method === "GET" || method === "HEAD" ? "unauthenticated" : "denied");
  for (const door of doors) {
    const { outcome: found, text } = await open(caller, door, "there");
    assert.equal(found, of(door.request.split(" ")[0] ?? ""), `${door.request} ${label}\n${text}`);
  }
  const asked = ofLogs.filter((method) => nameOf(method) in rpcs);
  for (const method of asked) {
    const { outcome: found, text } = await call(caller, method, "grpc-web+proto", "there");
    assert.equal(found, of("POST"), `${nameOf(method)} ${label}\n${text}`);
  }
  return doors.length + asked.length;
}
