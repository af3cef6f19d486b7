/** Creates the service that answers the clients' requests, from the parts of a node. */
import { fileURLToPath } from "node:url";
import {
  adminOperations,
  createFastPath,
  createService,
  createStaticFiles,
  membershipOperations,
  type Pages,
  type Site,
  sites,
} from "../api/mod.ts";
import { systemDisk } from "../lib/disk/system-disk.ts";
import type { Clock } from "../lib/time/clock.ts";
import type { MemoryBudget } from "../memory/mod.ts";
import type { NodeTelemetry } from "../telemetry/mod.ts";
import { TokenVerifier } from "../tokens/mod.ts";
import type { OpenAccess } from "./access-files.ts";
import type { OpenedCluster } from "./cluster/open-cluster.ts";
import type { Config } from "./config/settings.ts";
import type { NodeReadiness } from "./node-readiness.ts";
import type { OpenIssuer } from "./tokens/open-issuer.ts";
import { openLogin } from "./tokens/open-login.ts";
import { version } from "./version.ts";

export interface OpenServiceOptions {
  readonly config: Config;
  readonly cluster: OpenedCluster;
  readonly access: OpenAccess;
  readonly issuer: Pick<OpenIssuer, "tokens">;
  readonly readiness: NodeReadiness;
  readonly memory: MemoryBudget;
  readonly telemetry: NodeTelemetry;
  readonly clock: Clock;
  readonly scheme: "http" | "https";
  /** The host of --advertise-addr. */
  readonly advertisedHost: string;
  /** The address of the ops port, `host:port`. */
  readonly opsAddress: string;
}

export function openService(options: OpenServiceOptions): ReturnType<typeof createService> {
  const { config, access, readiness, memory, telemetry, clock, scheme } = options;
  const { replica, gossip, node, view, tokens, tokenAdmin, tickets } = options.cluster;
  /** The dashboard of one node continues with another node when its own is unreachable, so their origins are allowed. */
  const peerOrigins = (): string[] =>
    view
      .nodes()
      .filter(({ id }) => id !== view.nodeId)
      .map(({ rpcAddr }) => `${scheme}://${rpcAddr}`);
  const verifier = new TokenVerifier({
    source: tokens,
    clusterId: () => replica.state.clusterId,
    isConfirmed: () => tokens.isConfirmed,
    refresh: () => tokens.refresh(),
    issuer: options.issuer.tokens,
    clock,
  });
  const identify = (token: string, peer: string | undefined) => verifier.identify(token, peer);
  return createService({
    log: replica.log,
    named: replica.log.named,
    cluster: view,
    operations: { ...membershipOperations(gossip.membership), ...adminOperations(node.admin) },
    backup: (have, after) => node.admin.backup(have, after),
    access: access.access,
    tokens: verifier,
    login: openLogin({ config, cluster: options.cluster, identify, clock }),
    tokenAdmin,
    tickets,
    readiness,
    clock,
    telemetry,
    origins: {
      get origins() {
        return [...config.corsOrigins, ...peerOrigins()];
      },
      hosts: [...config.allowHosts, options.advertisedHost],
    },
    version,
    memory,
    recordBytesMax: config.recordBytesMax,
    requestBytesMax: config.requestBytesMax,
    fastPath: createFastPath,
    opsAddress: options.opsAddress,
    pages: openPages(peerOrigins),
  });
}

/** The dashboard and the handbook. */
function openPages(connectOrigins: () => readonly string[]): Pages {
  const { dashboard, handbook } = sites;
  const open = (site: Site, directory: URL): Pages =>
    createStaticFiles({ disk: systemDisk, site, directory: fileURLToPath(directory), connectOrigins });
  const all = [
    open(dashboard, new URL("../../web/dist", import.meta.url)),
    open(handbook, new URL("../../web/handbook/dist", import.meta.url)),
  ];
  return (exchange) => all.some((serve) => serve(exchange));
}
