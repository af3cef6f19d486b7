/**
 * Installs the chart and plays what happens to its pods, under load. It changes mounts and the network, so it must run in
 * namespaces of its own:
 *
 *   unshare --net --mount node test/long/kubernetes/main.ts DIRECTORY
 *
 * It prints a line for each scene, and ends with an error if one fails.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openClient, type TailraceClient } from "../../../src/client/mod.ts";
import { namespace, needed, render } from "../../support/deploy/chart.ts";
import { manifestOf } from "../../support/deploy/manifests.ts";
import { bin, ended, environment } from "../../support/process/process.ts";
import { until } from "../../support/until.ts";
import { Kubernetes, podWait, templateDiffers } from "./kubernetes.ts";
import { Load } from "./load.ts";
import type { PodRun } from "./pod-run.ts";

/** What "app", the operator "root" and, for commands in the pods and `helm test`, the nodes may do. */
const policy = [
  ...["produce", "consume", "describe"].map((action) => `p, app, *, ${action}`),
  ...["produce", "consume", "describe", "create"].map((action) => `p, tailrace, *, ${action}`),
  ...["describe", "admin"].map((action) => `p, root, *, ${action}`),
].join("\n");
const values = { ...needed, test: { log: "helm-test" }, access: { policy } };
const domain = `${namespace}.svc.cluster.local`;
const addressOf = (pod: string): string => `${pod}.tailrace-headless.${domain}:8080`;
const [directory = ""] = process.argv.slice(2);

const kubernetes = new Kubernetes(directory);
const tls = await kubernetes.authority.client("app");

const root = await kubernetes.authority.client("root");
for (const [name, text] of Object.entries(root)) writeFileSync(join(directory, `root.${name}`), text);

/** Runs a command of an operator at a pod. */
async function operate(pod: string, ...args: readonly string[]): Promise<void> {
  const files = Object.keys(root).flatMap((name) => [`--tls-${name}-file`, join(directory, `root.${name}`)]);
  const command = [bin, ...args, "--addr", addressOf(pod), ...files];
  const { status, err } = await ended(spawn(process.execPath, command, { env: environment() }));
  assert.equal(status, 0, `tailrace ${args.join(" ")}: ${err}`);
}

const connect = (pod: string): TailraceClient =>
  openClient({ addr: addressOf(pod), tls, discover: false, limits: { attemptsMax: 1 } });

async function statusOf(pod: string) {
  await using client = connect(pod);
  return await client.rpc.cluster.status({}, { timeoutMs: 3_000 });
}

/** Waits until these pods are ready, agree on a leader and are the voters. Returns the leader's pod. */
async function whole(names: readonly string[] = kubernetes.names): Promise<string> {
  for (const name of names) await kubernetes.ready(name);
  return until(
    "the nodes agree on a leader, and all are voters",
    async () => {
      const found = await Promise.all(names.map(statusOf));
      const leader = found[0]?.leader ?? "";
      const agree = found.every(
        (status) => status.leader === leader && [...status.voters].sort().join() === names.join(),
      );
      return agree ? leader : "";
    },
    podWait,
  );
}

const say = (scene: string, facts: object): void => console.log(`${scene}: ${JSON.stringify(facts)}`);

/** The node ended in order, after its hook, within the grace period; a leader handed over in the hook, before SIGTERM. */
function endedInOrder(pod: PodRun, deleted: Awaited<ReturnType<PodRun["delete"]>>, led: boolean): void {
  const { hook, status, signal } = deleted;
  assert.deepEqual([hook?.status, hook?.err, status, signal], [0, "", 0, null], pod.log.slice(-2_000));
  assert.deepEqual(pod.restarts, []);
  const handedOver = pod.log.indexOf('"handed leadership over"');
  const stopping = pod.log.indexOf('"stopping"');
  assert.ok(stopping >= 0);
  assert.equal(handedOver >= 0 && handedOver < stopping, led, `led: ${led}: ${pod.log.slice(-2_000)}`);
}

try {
  await kubernetes.apply(render(values));
  kubernetes.startAll();
  const first = await whole();
  say("install", { pods: kubernetes.names, leader: first });

  const tested = await kubernetes.test();
  assert.equal(tested.status, 0, `${tested.container}: ${tested.out}${tested.err}`);
  say("helm test", { out: tested.out.trim().split("\n").length });

  const shown = await kubernetes.pod(first).execute(["tailrace", "status"]);
  assert.equal(shown.status, 0, shown.err);
  const written = await kubernetes.pod(first).execute(["node", "-e", "fs.writeFileSync('/opt/x', '')"]);
  assert.match(written.err, /EROFS|EACCES/);

  const load = new Load(`tailrace.${domain}:8080`, tls);
  await load.goesOn();

  // An upgrade that changes the configuration.
  const upgrade = render({ ...values, config: { "retention-age": "36500d" } });
  assert.ok(templateDiffers(render(values), upgrade));
  await kubernetes.apply(upgrade);
  load.takeLongestPause();
  let leader = await whole();
  let handovers = 0;
  await kubernetes.rollingUpdate(async (name, pod, deleted) => {
    endedInOrder(pod, deleted, name === leader);
    if (name === leader) handovers++;
    assert.notEqual(kubernetes.pod(name).address, pod.address);
    await load.goesOn();
    leader = await whole();
  });
  assert.ok(handovers > 0);
  say("rolling update", { handovers, longestPauseMs: load.takeLongestPause() });

  // Five nodes: the pods that run are not restarted, and none of them may be evicted while a new one is not ready.
  const running = kubernetes.names.map((name) => kubernetes.pod(name));
  const five = render({ ...values, config: { "retention-age": "36500d" }, replicas: 5 });
  assert.ok(!templateDiffers(upgrade, five));
  await kubernetes.apply(five);
  kubernetes.startAll();
  assert.equal(await kubernetes.evict(leader), undefined);
  leader = await whole();
  const added = kubernetes.names.slice(running.length);
  for (const name of added) await hasAll(name, new Map(load.acked));
  assert.deepEqual(
    running.flatMap(({ restarts }) => restarts),
    [],
  );
  await load.goesOn();
  say("scale up", { added, longestPauseMs: load.takeLongestPause() });

  // Three nodes again. The last one leads, and hands over before it is removed.
  const last = added.at(-1)!;
  await operate(leader, "transfer", last);
  const staying = [...kubernetes.names];
  for (const name of added.toReversed()) {
    await operate("tailrace-0", "remove", name);
    staying.pop();
    leader = await whole(staying);
    await until(`${name} is not ready`, () => !kubernetes.pod(name).isReady, podWait);
    assert.equal(await kubernetes.evict(leader), undefined, "a pod that is not ready uses up the budget");
    await load.goesOn();
  }
  const removed = added.map((name) => kubernetes.pod(name));
  await kubernetes.apply(upgrade);
  const surplus = await kubernetes.deleteSurplus();
  assert.deepEqual([...surplus.keys()].sort(), added);
  for (const pod of removed) {
    assert.match(pod.log, /"this node was removed from its cluster"/);
    // It led before it was removed, and the voter with the longest log leads next, which can be the other one.
    if (pod.name === last) assert.match(pod.log, /"role":"leader"/);
    endedInOrder(pod, surplus.get(pod.name)!, false);
    kubernetes.loseDisk(pod.name);
  }
  leader = await whole();
  await load.goesOn();
  say("scale down", { removed: removed.length, longestPauseMs: load.takeLongestPause() });

  // An eviction of the leader. A second one must wait until the first pod is ready again.
  const [other] = kubernetes.names.filter((name) => name !== leader) as [string];
  const evicting = kubernetes.evict(leader);
  const refused = await kubernetes.evict(other);
  assert.equal(refused, undefined, "the budget allows one pod at a time");
  const evictedPod = kubernetes.pod(leader);
  const evicted = await evicting;
  assert.ok(evicted);
  endedInOrder(evictedPod, evicted, true);
  await load.goesOn();
  say("eviction", { pod: leader, tookMs: evicted.tookMs, longestPauseMs: load.takeLongestPause() });

  // The machine of the leader is lost with its disk: the pod returns with an empty one.
  leader = await whole();
  await kubernetes.loseMachine(leader);
  kubernetes.loseDisk(leader);
  const empty = kubernetes.start(leader);
  const lead = await whole();
  assert.notEqual(lead, leader);
  assert.match(kubernetes.pod(lead).log, new RegExp(`"member":"${leader}","change":"replaced"`));
  assert.deepEqual(empty.restarts, []);
  await load.goesOn();
  say("lost volume", { pod: leader, longestPauseMs: load.takeLongestPause() });

  // Two machines are away: the third node is not ready, and stays alive.
  leader = await whole();
  const [one, two] = kubernetes.names.filter((name) => name !== leader) as [string, string];
  await Promise.all([kubernetes.loseMachine(one), kubernetes.loseMachine(two)]);
  const alone = kubernetes.pod(leader);
  await until("the last node is not ready", () => !alone.isReady, podWait);
  const { livenessProbe } = manifestOf(upgrade, "StatefulSet").spec.template.spec.containers[0];
  const enough = alone.livenessPassed + (livenessProbe?.failureThreshold ?? 0);
  await until("it passes its liveness probes", () => alone.livenessPassed > enough, podWait);
  assert.deepEqual([alone.isReady, alone.isLive, alone.restarts], [false, true, []]);
  for (const name of [one, two]) kubernetes.start(name);
  await whole();
  await load.goesOn();
  say("no majority", { alone: leader, livenessPassed: alone.livenessPassed });
  load.takeLongestPause();

  // All machines lose their power: every pod returns with its disk and another address.
  await Promise.all(kubernetes.names.map((name) => kubernetes.loseMachine(name)));
  kubernetes.startAll();
  await whole();
  await load.goesOn();
  say("power failure", { longestPauseMs: load.takeLongestPause() });

  // A new certificate is taken without a restart.
  await kubernetes.renew("tailrace-tls");
  for (const name of kubernetes.names)
    await until(
      `${name} takes the new certificate`,
      () => /certificates reloaded/.test(kubernetes.pod(name).log),
      podWait,
    );
  await whole();
  await load.goesOn();
  for (const pod of kubernetes.pods.values()) assert.deepEqual(pod.restarts, []);
  say("new certificate", { pods: kubernetes.names.length });

  await load.end();
  for (const name of kubernetes.names) await hasAll(name, load.acked);
  say("every node has every record", { acknowledged: load.acked.size });
} finally {
  await kubernetes.end();
}

/** The node has every acknowledged value once, at its offset. */
async function hasAll(name: string, acked: ReadonlyMap<string, number>): Promise<void> {
  await using client = connect(name);
  const found = new Map<string, number>();
  for await (const { offset, value } of client.consume({
    from: 0,
    until: "end",
    freshness: { mode: "linearizable" },
  })) {
    const text = Buffer.from(value).toString();
    assert.ok(!found.has(text), `${text} is twice in the log of ${name}`);
    found.set(text, offset);
  }
  for (const [value, offset] of acked) assert.equal(found.get(value), offset, `${value} on ${name}`);
}
