/** A message that is impossible if its sender kept its promises is ignored and reported. It trips no assertion. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prng } from "../../../../src/lib/prng.ts";
import {
  type CoreEvent,
  emptyConfState,
  type Message,
  type MessageType,
  message,
} from "../../../../src/raft/core/mod.ts";
import { entry, Lab, network } from "../raft-lab.ts";

const faultsOf = (lab: Lab): string[] =>
  lab.events.flatMap((event: CoreEvent) => (event.kind === "peer-fault" ? [event.why] : []));

test("a heartbeat that commits beyond the end of the log is ignored, and the reply has the end of the log", () => {
  const lab = new Lab({ id: 2, log: [1, 1, 1], term: 1 });
  lab.core.step(message("heartbeat", 2, { from: 1, term: 1, commit: 5 }));
  const [answer] = lab.settle();
  assert.deepEqual(faultsOf(lab), ["commit-beyond-end"]);
  assert.equal(lab.core.committed, 0);
  assert.deepEqual(
    [answer?.type, answer?.reject, answer?.commit, answer?.rejectHint],
    ["append-response", true, 5, 3],
  );
});

test("a follower that lost acknowledged entries gets them again, and counts only for what it then has", () => {
  const net = network(2, { preVote: true, checkQuorum: true });
  net.lab(1).core.campaign();
  net.settle();
  for (let at = 0; at < 5; at++) net.lab(1).core.propose([entry(0, 0)]);
  net.settle();
  const { lastIndex, term } = net.lab(1).core;
  // The same term, and a log without its last entries.
  const terms = net.lab(2).terms.slice(0, 3);
  const rolled = new Lab({ id: 2, voters: [1, 2], log: terms, term, preVote: true, checkQuorum: true });
  net.labs.set(2, rolled);
  net.lab(1).core.tick();
  net.settle();
  assert.deepEqual(faultsOf(rolled), ["commit-beyond-end"]);
  assert.ok(faultsOf(net.lab(1)).includes("acknowledged-missing"));
  net.lab(1).core.tick();
  net.settle();
  assert.equal(rolled.core.lastIndex, lastIndex);
  assert.equal(rolled.core.committed, lastIndex);
});

test("a leader ignores an acknowledgment beyond the end of its log, and a second leader of its term", () => {
  const lab = new Lab({ log: [1, 1] });
  lab.lead();
  const { term, lastIndex } = lab.core;
  lab.core.step(message("append-response", 1, { from: 2, term, index: lastIndex + 7 }));
  for (const type of ["append", "heartbeat", "snapshot"] as const) {
    lab.core.step(message(type, 1, { from: 3, term, commit: 1 }));
  }
  assert.deepEqual(faultsOf(lab), [
    "acknowledged-beyond-end",
    "second-leader",
    "second-leader",
    "second-leader",
  ]);
  assert.equal(lab.core.progressOf(2)?.match, 0);
  assert.equal(lab.core.role, "leader");
});

test("a follower follows the first leader of a term and ignores a second one", () => {
  const lab = new Lab({ id: 3, log: [1], term: 1 });
  lab.core.step(message("heartbeat", 3, { from: 1, term: 2 }));
  lab.core.step(message("append", 3, { from: 2, term: 2, index: 1, logTerm: 1, entries: [entry(2, 2)] }));
  assert.deepEqual(faultsOf(lab), ["second-leader"]);
  assert.equal(lab.core.lastIndex, 1);
});

test("a read is not confirmed by a context that no heartbeat has carried", () => {
  const lab = new Lab({ log: [1] });
  lab.lead();
  const { term } = lab.core;
  lab.core.step(message("append-response", 1, { from: 2, term, index: lab.core.lastIndex }));
  lab.settle();
  lab.core.step(message("heartbeat-response", 1, { from: 2, term, context: 2 ** 40 }));
  lab.core.readIndex(7);
  lab.settle();
  assert.deepEqual(lab.reads, []);
});

const types: readonly MessageType[] = [
  "append",
  "append-response",
  "vote",
  "vote-response",
  "pre-vote",
  "pre-vote-response",
  "snapshot",
  "heartbeat",
  "heartbeat-response",
  "transfer-leader",
  "timeout-now",
  "read-index",
  "read-index-response",
];

test("no sequence of messages from peers trips an assertion, whatever numbers they carry", () => {
  for (let seed = 0; seed < 2_000; seed++) {
    const chance = prng(`peer-fault/${seed}`);
    const lab = new Lab({
      id: 1,
      voters: chance.pick([
        [1, 2],
        [1, 2, 3],
        [2, 3],
      ]),
      learners: chance.pick([[], [], [4]]),
      log: [1, 1, 2, 2, 3].slice(0, chance.between(0, 5)),
      preVote: true,
      checkQuorum: true,
      commitByVote: true,
      snapshotsMayPredateUs: true,
    });
    const anyIndex = (): number => (chance.chance(0.1) ? 2 ** 40 : chance.between(0, 9));
    for (let count = 0; count < 80; count++) {
      if (chance.chance(0.2)) lab.core.tick();
      if (chance.chance(0.02)) lab.core.campaign();
      if (chance.chance(0.05)) lab.core.propose([entry(0, 0)]);
      const { term: now } = lab.core;
      const type = chance.pick(types);
      const [index, term] = [anyIndex(), Math.max(0, now + chance.between(-1, 1))];
      const logTerm = chance.between(0, term);
      // What the codec lets pass: entries follow each other and are of no later term than the message.
      const entries = Array.from({ length: type === "append" ? chance.between(0, 3) : 0 }, (_, at) =>
        entry(Math.max(logTerm, term), index + 1 + at),
      );
      const received: Partial<Message> = {
        from: chance.between(1, 4),
        term,
        index,
        logTerm,
        entries,
        commit: anyIndex(),
        reject: chance.chance(0.3),
        rejectHint: anyIndex(),
        context: chance.between(0, 3),
        snapshot:
          type === "snapshot"
            ? {
                index,
                term: logTerm,
                configuration: { ...emptyConfState, voters: chance.pick([[1, 2], [2, 3], []]) },
                data: new Uint8Array(0),
              }
            : undefined,
      };
      lab.core.step(message(type, 1, received));
      if (chance.chance(0.7)) lab.settle();
    }
  }
});
