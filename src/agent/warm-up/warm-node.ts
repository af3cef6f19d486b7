/**
 * A node of the warm-up: everything that ships between the socket and the disk, with both in memory. It opens no port and no
 * file, has no peers, and its log and metrics are seen by no one.
 */
import { AccessControl } from "../../access/mod.ts";
import { type ClusterView, createFastPath, createService, type NodeView } from "../../api/mod.ts";
import { Fault } from "../../fault.ts";
import { heapMapper } from "../../lib/disk/mapped-file.ts";
import { prng } from "../../lib/prng.ts";
import type { Clock } from "../../lib/time/clock.ts";
import { defaultSettings, SyncPolicy } from "../../log/mod.ts";
import { Replica } from "../../replication/mod.ts";
import { openTelemetry } from "../../telemetry/mod.ts";
import { MemoryDisk } from "./memory-disk.ts";
import { MemoryStore } from "./memory-store.ts";

const MiB = 2 ** 20;
const name = "warm-up";
const address = "127.0.0.1:1";
const directory = "/warm-up";

export interface WarmNode extends AsyncDisposable {
  readonly router: ReturnType<typeof createService>["router"];
  /** Takes appends. */
  readonly ready: () => boolean;
  /** How many records it has. */
  readonly records: () => number;
}

export async function openWarmNode(clock: Clock): Promise<WarmNode> {
  await using opening = new AsyncDisposableStack();
  const telemetry = opening.use(await openTelemetry({ version: "", level: "silent", clock }));
  const { log: logger, metrics, tracer } = telemetry;
  const disk = new MemoryDisk();
  disk.makeDirectory(directory);
  const replica = opening.use(
    Replica.open({
      directory,
      disk,
      store: new MemoryStore(),
      mapper: heapMapper(disk),
      newDirectoryId: new Uint8Array(16).fill(1),
      clock,
      random: prng(name),
      name,
      address,
      settings: defaultSettings,
      reserveBytes: 0,
      frameCacheBytesMax: MiB,
      syncPolicy: new SyncPolicy(true),
      transport: { send: () => {}, members: () => {} },
      forwarder: { append: noOtherNode, trim: noOtherNode, changeLog: noOtherNode },
      logger,
      telemetry: { metrics, tracer, clock },
    }),
  );
  replica.bootstrap([replica.member]);
  replica.start();
  const { router } = createService({
    log: replica.log,
    named: replica.log.named,
    cluster: viewOf(replica),
    access: new AccessControl(),
    readiness: { reasons: () => [], onChange: () => () => {} },
    clock,
    telemetry,
    origins: { origins: [], hosts: [] },
    version: "",
    recordBytesMax: MiB,
    requestBytesMax: 4 * MiB,
    fastPath: createFastPath,
  });
  const owned = opening.move();
  return {
    router,
    ready: () => replica.ready,
    records: () => replica.storedLog.bounds.next,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const noOtherNode = (): Promise<never> => Promise.reject(new Fault("unavailable"));

function viewOf(replica: Replica): ClusterView {
  const nodes = (): NodeView[] => [];
  return {
    nodeId: name,
    clusterId: name,
    term: 1,
    get leaderId() {
      return replica.ready ? name : undefined;
    },
    hasQuorum: true,
    nodes,
    onChange: () => () => {},
  };
}
