/**
 * The client of a far node is a commit log: the contract over a real socket, in each protocol.
 */
import { type ClientProtocol, openClient } from "../../src/client/mod.ts";
import { openReal, scratchDirectory } from "../support/logs.ts";
import { serve } from "../support/serve.ts";
import { commitLogContract } from "./commit-log.ts";

const protocols: readonly ClientProtocol[] = ["grpc", "grpc-web", "connect"];

for (const protocol of protocols) {
  commitLogContract(`the client over ${protocol}`, async () => {
    const directory = scratchDirectory();
    const opened = await openReal(directory.path);
    const served = await serve({ log: opened.log });
    const client = openClient({ addrs: [`127.0.0.1:${served.port}`], protocol });
    return {
      log: client.commitLog,
      async [Symbol.asyncDispose]() {
        await client[Symbol.asyncDispose]();
        await served[Symbol.asyncDispose]();
        await opened[Symbol.asyncDispose]();
        directory[Symbol.dispose]();
      },
    };
  });
}
