import assert from "node:assert/strict";
import { test } from "node:test";
import { CursorCommits } from "../../../../src/client/cursors/cursor-commits.ts";
import type { CommitOptions, CursorDescription } from "../../../../src/client/cursors/log-cursor.ts";
import { Fault } from "../../../../src/fault.ts";
import { StillClock } from "../../../support/log/logs.ts";

const described = (offset: number, version: number): CursorDescription => ({
  ...{ name: "c", offset, version, metadata: "", owner: "", createdMs: 0, committedMs: 0 },
});

/** A cursor on a cluster that answers as told. */
class FakeCursor {
  readonly name = "c";
  readonly commits: string[] = [];
  stored: CursorDescription | undefined;
  /** What the next commit fails with. `isDone`: it was committed nevertheless. */
  failure: { readonly fault: Fault; readonly isDone?: boolean } | undefined;

  get(): Promise<CursorDescription | undefined> {
    return Promise.resolve(this.stored);
  }

  async commit(offset: number, { version }: CommitOptions = {}): Promise<CursorDescription> {
    this.commits.push(`${offset} at ${version}`);
    const failure = this.failure;
    this.failure = undefined;
    if (failure !== undefined && failure.isDone !== true) throw failure.fault;
    const found = this.stored?.version ?? 0;
    if (version !== undefined && version !== found)
      throw new Fault("failed-precondition", { facts: { found } });
    this.stored = described(offset, found + 5);
    if (failure !== undefined) throw failure.fault;
    return this.stored;
  }
}

function begun(from = 0, found?: CursorDescription) {
  const [clock, cursor] = [new StillClock(), new FakeCursor()];
  cursor.stored = found;
  const commits = new CursorCommits(from, { cursor, clock, everyMs: 1_000, found });
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise(setImmediate);
  };
  return { clock, cursor, commits, advance };
}

test("what is done is committed once in an interval, each time with the version before", async () => {
  const { cursor, commits, advance } = begun(3, described(3, 7));
  for (let n = 4; n <= 6; n++) commits.done(n);
  await advance(999);
  assert.deepEqual(cursor.commits, []);
  await advance(1);
  assert.deepEqual(cursor.commits, ["6 at 7"]);
  await advance(5_000);
  commits.done(7);
  await advance(1_000);
  commits.done(8);
  await commits.close();
  assert.deepEqual(cursor.commits, ["6 at 7", "7 at 12", "8 at 17"]);
});

test("nothing is committed if nothing was done", async () => {
  const { clock, cursor, commits } = begun(9);
  await commits.close();
  assert.deepEqual([cursor.commits, clock.timers], [[], 0]);
});

test("a cursor that another reader moved is not moved back: the reader fails", async () => {
  const { cursor, commits, advance } = begun(0, described(0, 7));
  commits.done(1);
  cursor.stored = described(5, 8);
  await advance(1_000);
  assert.throws(
    () => commits.done(2),
    (fault: Fault) => fault.kind === "failed-precondition",
  );
  await assert.rejects(commits.close(), (fault: Fault) => fault.kind === "failed-precondition");
  assert.equal(cursor.stored.offset, 5);
});

test("a commit that fails for now is repeated, and one that succeeded in spite of its answer is known", async () => {
  const { cursor, commits, advance } = begun();
  commits.done(1);
  cursor.failure = { fault: new Fault("unavailable") };
  await advance(1_000);
  commits.done(2);
  cursor.failure = { fault: new Fault("unknown", { written: "unknown" }), isDone: true };
  await advance(1_000);
  commits.done(3);
  await commits.close();
  assert.deepEqual(cursor.commits, ["1 at 0", "2 at 0", "3 at 5"]);
  assert.equal(cursor.stored?.offset, 3);
});

test("the last commit can fail, and close says so", async () => {
  const { cursor, commits } = begun();
  commits.done(1);
  cursor.failure = { fault: new Fault("unavailable") };
  await assert.rejects(commits.close(), (fault: Fault) => fault.kind === "unavailable");
});
