/**
 * The contract of CommitLog for the client: over a socket, in each protocol over mTLS, in plaintext, and with the fetch of a
 * browser; and the same for a named log, beside other logs that are written in between.
 */
import { after, before } from "node:test";
import { openClient as openInBrowser } from "../../src/client/browser.ts";
import { type ClientProtocol, openClient, type TailraceClient } from "../../src/client/mod.ts";
import { NodeTls } from "../../src/server/tls/node-tls.ts";
import type { CommitLog } from "../../src/types.ts";
import { type Served, serve } from "../support/http/serve.ts";
import { run } from "../support/log/logs.ts";
import { openOneNode } from "../support/log/one-node-log.ts";
import { testAuthority, writeTlsFiles } from "../support/process/certificates.ts";
import { scratchDirectory } from "../support/scratch.ts";
import { commitLogContract, type OpenedLog } from "./commit-log.ts";

const protocols: readonly ClientProtocol[] = ["grpc", "grpc-web", "connect"];
const files = scratchDirectory();
let tls: NodeTls;
let credentials: { readonly ca: string; readonly cert: string; readonly key: string };

before(async () => {
  const authority = await testAuthority();
  const client = await authority.client("root");
  credentials = { ca: authority.issued.certificatePem, cert: client.certificatePem, key: client.keyPem };
  tls = new NodeTls({
    server: writeTlsFiles(files.path, "server", await authority.node(), authority.issued),
    clientAuth: "require",
  });
});

after(() => {
  tls[Symbol.dispose]();
  files[Symbol.dispose]();
});

type LogOf = (client: TailraceClient) => CommitLog | Promise<CommitLog>;

async function open(
  isSecure: boolean,
  connect: (served: Served) => TailraceClient,
  logOf: LogOf = ({ commitLog }) => commitLog,
): Promise<OpenedLog> {
  const directory = scratchDirectory();
  const opened = await openOneNode(directory.path);
  const { log } = opened.replica;
  const served = await serve({ log, named: log.named, ...(isSecure ? { tls } : {}) });
  const client = connect(served);
  return {
    log: await logOf(client),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

const namedSkips = {
  "describe() lists the segments": "segments hold many logs, so a named log describes none",
};

/** A new named log, of which each append is followed by one to `default` and one to another log. */
async function namedLogOf(client: TailraceClient): Promise<CommitLog> {
  await client.logs.create("orders/eu 1");
  await client.logs.create("other");
  const named = client.log("orders/eu 1");
  const other = client.log("other");
  const append: CommitLog["append"] = (records, options) => {
    const appended = named.append(records, options);
    void client.commitLog.append(run("default")).catch(() => undefined);
    void other.append(run("another")).catch(() => undefined);
    return appended;
  };
  return new Proxy(named, {
    get(target, name) {
      if (name === "append") return append;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

for (const protocol of protocols) {
  commitLogContract(`the client over ${protocol} with mTLS`, () =>
    open(true, ({ port }) => openClient({ addrs: [`127.0.0.1:${port}`], protocol, tls: credentials })),
  );
}

commitLogContract("the client over plaintext", () =>
  open(false, ({ port }) => openClient({ addr: `127.0.0.1:${port}` })),
);

commitLogContract("the browser's client", () => open(false, ({ url }) => openInBrowser({ origins: [url] })));

for (const protocol of protocols) {
  const connect = ({ port }: Served): TailraceClient => openClient({ addr: `127.0.0.1:${port}`, protocol });
  const opened = (): Promise<OpenedLog> => open(false, connect, namedLogOf);
  commitLogContract(`a named log over ${protocol}`, opened, namedSkips);
}

commitLogContract(
  "a named log in the browser's client",
  () => open(false, ({ url }) => openInBrowser({ origins: [url] }), namedLogOf),
  namedSkips,
);
