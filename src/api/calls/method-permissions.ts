/**
 * Every method and route with what it takes (INTERFACE, "Who may do what"). Exhaustive over the contract: a method
 * without a door does not compile.
 *
 * Never: decides who may.
 */
import type { Action } from "../../access/mod.ts";
import type { Cluster, Log } from "../../gen/log/v1/log_pb.js";
import type { Door } from "./call-tracker.ts";

type MethodName<Service extends { method: object }> = Extract<keyof Service["method"], string>;

const upper = (name: string): string => `${name[0]?.toUpperCase()}${name.slice(1)}`;

function doors<Name extends string>(
  service: string,
  table: Record<Name, Action | "anybody" | `${Action} long` | "anybody long">,
): Readonly<Record<Name, Door>> {
  const made = Object.entries<string>(table).map(([name, rule]) => {
    const [action, long] = rule.split(" ") as [Action | "anybody", string | undefined];
    const door: Door = {
      name: `${service}/${upper(name)}`,
      action: action === "anybody" ? undefined : action,
      long: long === "long",
    };
    return [name, door] as const;
  });
  return Object.fromEntries(made) as Readonly<Record<Name, Door>>;
}

export const logDoors = doors<MethodName<typeof Log>>("log.v1.Log", {
  produce: "produce",
  consume: "consume",
  consumeStream: "consume long",
  produceStream: "produce long",
  produceBatch: "produce",
  produceBulk: "produce long",
  consumeBatches: "consume long",
  getServers: "anybody",
  describe: "describe",
  trim: "trim",
  watch: "describe long",
});

export const clusterDoors = doors<MethodName<typeof Cluster>>("log.v1.Cluster", {
  members: "describe",
  event: "admin",
  query: "admin long",
  addNode: "admin",
  removeNode: "admin",
  transferLeadership: "admin",
  backup: "admin long",
  status: "anybody",
  whoAmI: "anybody",
});

const healthDoors = doors("grpc.health.v1.Health", {
  check: "anybody",
  list: "anybody",
  watch: "anybody long",
});

const reflectionDoor: Door = {
  name: "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  action: "describe",
  long: true,
};
const reflectionAlphaDoor: Door = {
  ...reflectionDoor,
  name: "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
};

export const postDoor: Door = { name: "POST /", action: "produce", long: false };
export const getDoor: Door = { name: "GET /", action: "consume", long: false };
export const tailDoor: Door = { name: "GET /tail", action: "consume", long: true };

const all: readonly Door[] = [
  ...Object.values(logDoors),
  ...Object.values(clusterDoors),
  ...Object.values(healthDoors),
  reflectionDoor,
  reflectionAlphaDoor,
];
const byPath = new Map(all.map((door) => [`/${door.name}`, door]));

/** The door of an RPC path such as `/log.v1.Log/Produce`. */
export function doorOfPath(path: string): Door | undefined {
  return byPath.get(path);
}
