/** Restarts the nodes by the plan, one after another, and notes how long each takes until it serves again. */
import type { Fleet, FleetNode } from "../chaos/fleet.ts";
import type { Operator } from "../chaos/operator.ts";
import { curl } from "../support/http/curl.ts";
import { processWait } from "../support/process/cluster.ts";
import { until } from "../support/until.ts";
import { type Plan, restartOf } from "./plan.ts";

export class Restarts {
  readonly failures: string[] = [];
  /** Milliseconds until a node that was started again was ready. */
  readonly readyMs: number[] = [];
  /** When each process of a node began, in milliseconds since the start of the run, by node. */
  readonly beganMs = new Map<string, number>();
  readonly #fleet: Fleet;
  readonly #operator: Operator;
  readonly #plan: Plan;
  readonly #startMs = performance.now();
  readonly #logBytes = new Map<string, number>();

  constructor(fleet: Fleet, operator: Operator, plan: Plan) {
    this.#fleet = fleet;
    this.#operator = operator;
    this.#plan = plan;
    for (const node of fleet.nodes) this.beganMs.set(node.name, 0);
  }

  async restart(k: number): Promise<void> {
    const { node: number, signal, asLeader } = restartOf(this.#plan, k);
    const node = this.#fleet.nodes[number]!;
    try {
      if (asLeader && (await this.#operator.leader()) !== node) await this.#operator.transfer(node);
      this.#logBytes.set(node.name, this.#fleet.logged(node.name));
      await this.#fleet.end(node, signal);
      const began = performance.now();
      this.beganMs.set(node.name, began - this.#startMs);
      await this.#fleet.start(node);
      const isReady = async (): Promise<boolean> => {
        const ops = this.opsOf(node);
        return ops !== undefined && (await curl(`http://${ops}/readyz`)).status === 200;
      };
      await until(`${node.name} is ready`, isReady, { ...processWait, everyMs: 200 });
      this.readyMs.push(performance.now() - began);
    } catch (reason) {
      this.failures.push(`restart ${k} of ${node.name}: ${String(reason)}`);
    }
  }

  /** The address of the ops port of the process that runs; undefined until it has printed it. */
  opsOf(node: FleetNode): string | undefined {
    const text = this.#fleet.logSince(node.name, this.#logBytes.get(node.name) ?? 0);
    return /^tailrace ready .*\bops=(\S+)/m.exec(text)?.[1];
  }
}
