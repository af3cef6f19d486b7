/**
 * The contract of CommitLog for the client: over a socket, in each protocol over mTLS, in plaintext, and with the fetch of a
 * browser.
 */
import { after, before } from "node:test";
import { openClient as openInBrowser } from "../../src/client/browser.ts";
import { type ClientProtocol, openClient, type TailraceClient } from "../../src/client/mod.ts";
import { NodeTls } from "../../src/server/tls/node-tls.ts";
import { type Served, serve } from "../support/http/serve.ts";
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

async function open(isSecure: boolean, connect: (served: Served) => TailraceClient): Promise<OpenedLog> {
  const directory = scratchDirectory();
  const opened = await openOneNode(directory.path);
  const served = await serve({ log: opened.replica.log, ...(isSecure ? { tls } : {}) });
  const client = connect(served);
  return {
    log: client.commitLog,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await served[Symbol.asyncDispose]();
      await opened[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
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
