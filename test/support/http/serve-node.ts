/** The service of a cluster of one node, with named logs, and requests to it. */
import { AccessControl } from "../../../src/access/mod.ts";
import type { ServiceOptions } from "../../../src/api/service.ts";
import { type OneNodeLog, openOneNode } from "../log/one-node-log.ts";
import { scratchDirectory } from "../scratch.ts";
import { type Answer, type Ask, curl } from "./curl.ts";
import { type Served, type ServeOptions, serve } from "./serve.ts";

export interface ServedNode extends AsyncDisposable {
  readonly url: string;
  readonly node: OneNodeLog;
  readonly served: Served;
  /** Sends a request to a path. */
  ask(method: string, path: string, body?: string | Uint8Array, headers?: Ask["headers"]): Promise<Answer>;
}

export async function serveNode(options: ServeOptions = {}): Promise<ServedNode> {
  const directory = scratchDirectory();
  const node = await openOneNode(directory.path);
  const { log } = node.replica;
  const served = await serve({ ...options, log, named: log.named });
  return {
    url: served.url,
    node,
    served,
    ask: (method, path, body, headers = {}) =>
      curl(`${served.url}${path}`, { method, headers, ...(body === undefined ? {} : { body }) }),
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]();
      await node[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

/** Access rules for plaintext callers of a test: each has the subject of `as()`, instead of all rights. */
export async function accessAs(policy: string, as: () => string): Promise<ServiceOptions["access"]> {
  const rules = await AccessControl.open({ policy });
  const caller = () => ({ subject: as(), isPeer: false });
  return {
    check: (_, object, action) => rules.check(caller(), object, action),
    authorize: (_, object, action) => rules.authorize(caller(), object, action),
    authenticate: () => undefined,
    onReload: (listener) => rules.onReload(listener),
    authorizeSome: (_, action) => rules.authorizeSome(caller(), action),
    patternsOf: (_, action) => rules.patternsOf(caller(), action),
    allowedActions: (_, object) => rules.allowedActions(caller(), object),
  };
}
