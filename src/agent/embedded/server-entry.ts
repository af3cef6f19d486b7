/**
 * What `import "tailrace/server"` loads. A Node.js that is too old can parse this file, so it says what is needed; the node
 * itself is loaded when it is started.
 */
import type { Server, ServerSettings } from "./start-server.ts";

const nodeMin = 24;
const found = process.versions.node;
if (Number(found.split(".")[0]) < nodeMin) {
  throw new Error(
    `tailrace/server needs Node.js ${nodeMin} or newer, this is ${found}. The package brings one: npx node FILE`,
  );
}

/** See start-server.ts. */
export async function startServer(settings: ServerSettings = {}): Promise<Server> {
  const loaded = await import("./start-server.ts");
  return loaded.startServer(settings);
}
