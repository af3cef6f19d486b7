/**
 * Well-formed messages of every kind with extreme values and values of other members, on datagrams and streams, from one
 * attacker among live members.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../src/fault.ts";
import { type Prng, prng } from "../../../src/lib/prng.ts";
import type { Endpoint } from "../../../src/membership/codec/address.ts";
import {
  encodeAck,
  encodeAlive,
  encodeIndirectPing,
  encodePing,
  encodeSuspectOrDead,
  encodeUserMessage,
  protocolVersions,
} from "../../../src/membership/codec/messages.ts";
import { encodePushPull, type PushPullNode } from "../../../src/membership/codec/push-pull.ts";
import {
  encodeIntent,
  encodeQuery,
  encodeQueryResponse,
  encodeUserEvent,
} from "../../../src/membership/serf/serf-messages.ts";
import { encodeSerfState } from "../../../src/membership/serf/serf-state.ts";
import { encodeTags } from "../../../src/membership/serf/tags.ts";
import { GossipSim } from "./gossip-sim.ts";

const times = [0, 1, 2, 511, 512, 513, 1_000, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 47];
const numbers = [0, 1, 2, 3, 50, 2 ** 20, 2 ** 31 - 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const metas = [
  Buffer.alloc(0),
  Buffer.alloc(512, 0xff),
  Buffer.from([0xff, 0xdf, 0xff, 0xff, 0xff, 0xff]),
  encodeTags({}),
  encodeTags({ role: "x".repeat(480) }),
  encodeTags(JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}') as Record<string, string>),
];

class Attacker {
  readonly #chance: Prng;
  readonly #names: readonly string[];
  readonly #hosts: readonly Endpoint[];

  constructor(seed: string, sim: GossipSim) {
    this.#chance = prng(seed);
    this.#names = [
      ...sim.members.map(({ name }) => name),
      ...["invented", "x".repeat(255), "ü☃", "__proto__", "a b", "left: x"],
    ];
    this.#hosts = [
      ...sim.members.map(({ at }) => at),
      ...["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "::1", "fe80::1", "10.9.8.7"].flatMap((host) =>
        [1, 65_535].map((port) => ({ host, port })),
      ),
    ];
  }

  /** A message of a datagram. */
  message(): Buffer {
    const c = this.#chance;
    const [node, from, at] = [this.name(), this.name(), c.pick(this.#hosts)];
    const [n, incarnation] = [c.pick(numbers), c.pick(numbers)];
    switch (c.between(0, 10)) {
      case 0:
        return encodePing(n, node, { name: from, ...at });
      case 1:
        return encodeIndirectPing(n, node, at, { name: from, ...c.pick(this.#hosts) });
      case 2:
        return encodeAck(c.chance(0.5) ? "ack" : "nack", n);
      case 3:
      case 4:
        return encodeSuspectOrDead({ kind: c.chance(0.5) ? "suspect" : "dead", incarnation, node, from });
      case 5:
      case 6:
        return encodeAlive(this.#claim());
      case 7:
        return encodeUserMessage(encodeIntent(this.#intent()));
      case 8:
        return encodeUserMessage(
          encodeUserEvent({ ...this.#event(), kind: "user-event", lTime: c.pick(times), coalesce: true }),
        );
      case 9:
        return encodeUserMessage(
          encodeQuery({
            ...{
              kind: "query",
              lTime: c.pick(times),
              id: n,
              at,
              from,
              name: node,
              payload: this.#bytes(300),
            },
            ...{ requestsAck: true, noBroadcast: c.chance(0.5), timeoutMs: c.pick([0, 1, 1e9]) },
            filters: [{ kind: "tag", tag: node, expression: c.pick(["", ".*", "(a|b)+$", "[", "\\d{3,}"]) }],
          }),
        );
      default:
        return encodeUserMessage(
          encodeQueryResponse({
            ...{ kind: "query-response", lTime: c.pick(times), id: n, from, ack: c.chance(0.5) },
            payload: this.#bytes(900),
          }),
        );
    }
  }

  /** A push/pull, as it comes on a stream. */
  state(): Buffer {
    const c = this.#chance;
    const some = <T>(make: () => T): T[] => Array.from({ length: c.between(0, 12) }, make);
    const nodes = some((): PushPullNode => {
      const { node, ...claim } = this.#claim();
      return { ...claim, name: node, state: c.pick(["alive", "suspect", "dead", "left"]) };
    });
    const userState = encodeSerfState({
      lTime: c.pick(times),
      statusLTimes: new Map(some(() => [this.name(), c.pick(times)] as const)),
      left: some(() => this.name()),
      eventLTime: c.pick(times),
      events: some(() => ({ lTime: c.pick(times), events: some(() => this.#event()) })),
      queryLTime: c.pick(times),
    });
    return encodePushPull({
      join: c.chance(0.5),
      nodes,
      userState: c.chance(0.2) ? this.#bytes(90) : userState,
    });
  }

  name(): string {
    return this.#chance.pick(this.#names);
  }

  #claim() {
    const c = this.#chance;
    return {
      node: this.name(),
      at: c.pick(this.#hosts),
      incarnation: c.pick(numbers),
      meta: c.pick(metas),
      versions: c.pick([
        protocolVersions,
        protocolVersions,
        Buffer.alloc(0),
        Buffer.alloc(6),
        Buffer.alloc(6, 255),
      ]),
    };
  }

  #intent() {
    const c = this.#chance;
    const kind = c.chance(0.7) ? ("leave" as const) : ("join" as const);
    return { kind, lTime: c.pick(times), node: this.name(), prune: c.chance(0.5) };
  }

  #event() {
    return { name: this.name(), payload: this.#bytes(400) };
  }

  #bytes(max: number): Buffer {
    return Buffer.alloc(this.#chance.between(0, max), this.#chance.between(0, 255));
  }
}

for (const seed of ["extreme-1", "extreme-2", "extreme-3"]) {
  test(`extreme values in every message neither crash a member nor evict one (${seed})`, () => {
    const sim = GossipSim.cluster(seed, 5);
    const attacker = new Attacker(seed, sim);
    sim.onSend = (_from, { parts, to }) => {
      const bytes = parts.reduce((sum, part) => sum + part.length + 2, 2);
      assert.ok(bytes <= 1_400, `a datagram of ${bytes} bytes`);
      assert.ok(to.port > 0);
      return true;
    };
    let refused = 0;
    for (let turn = 0; turn < 4_000; turn++) {
      const target = sim.members[turn % 5];
      assert.ok(target);
      if (turn % 4 === 0) {
        sim.call(target, (now) => {
          try {
            target.core.handleStream(now, { host: "10.9.8.7", port: 9 }, attacker.state());
          } catch (reason) {
            assert.ok(reason instanceof Fault, String(reason));
            refused++;
          }
        });
      } else sim.inject(target, [attacker.message(), attacker.message()]);
      if (turn % 20 === 0) sim.run(300);
    }
    assert.ok(refused > 0 && refused < 600, `${refused} exchanges were refused`);
    const names = new Set(sim.members.map(({ name }) => name));
    for (const kind of ["left", "failed", "reaped"] as const) {
      const evicted = sim.eventsOf(kind).filter((seen) => {
        const { event: notice } = seen;
        return "member" in notice && names.has(notice.member.name);
      });
      assert.deepEqual(evicted, [], kind);
    }
    // Invented members fail, and the live ones remain.
    assert.ok(
      sim.runUntil(
        () => sim.members.every((by) => sim.members.every((of) => sim.view(by, of) === "alive")),
        120_000,
      ),
      "a member does not see all live members",
    );
  });
}
