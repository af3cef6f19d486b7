/** A store of objects in a bucket, with a real server (versitygw) and with the stub, and with faults between both. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { listBackups } from "../../../../src/backup/mod.ts";
import { Fault } from "../../../../src/fault.ts";
import { prng } from "../../../../src/lib/prng.ts";
import { type Clock, systemClock } from "../../../../src/lib/time/clock.ts";
import type { RetryNotice } from "../../../../src/objects/mod.ts";
import type { HttpExchanger } from "../../../../src/objects/s3/http-exchange.ts";
import { openS3Store } from "../../../../src/objects/s3/open-s3-store.ts";
import { S3Connection } from "../../../../src/objects/s3/s3-connection.ts";
import type { S3Flags } from "../../../../src/objects/s3/s3-settings.ts";
import { S3Store } from "../../../../src/objects/s3/s3-store.ts";
import { BackupNode } from "../../../support/objects/backup-source.ts";
import { FaultyProxy, type Seen, type Trouble } from "../../../support/objects/faulty-proxy.ts";
import { checkObjectStore, keysOf } from "../../../support/objects/object-store-contract.ts";
import { openS3Server, type S3Server, serverKinds } from "../../../support/objects/s3-server.ts";

const limits = { attempts: 4, firstMs: 1, longestMs: 4 };
const MiB = 1024 * 1024;

for (const kind of serverKinds) {
  describe(`with ${kind}`, () => {
    let server: S3Server;
    let proxy: FaultyProxy;
    let places = 0;
    before(async () => {
      server = await openS3Server(kind);
      proxy = await FaultyProxy.open(server.endpoint);
    });
    after(async () => {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    interface Opened {
      readonly bucket?: string;
      readonly environment?: Readonly<Record<string, string>>;
      readonly flags?: S3Flags;
      readonly clock?: Clock;
      readonly signal?: AbortSignal;
      readonly onRetry?: (notice: RetryNotice) => void;
    }
    /** A store in a new place, through the proxy. */
    const open = ({
      bucket = "logs",
      environment = {},
      flags = {},
      clock = systemClock,
      signal,
      onRetry,
    }: Opened = {}): S3Store =>
      openS3Store(`s3://${bucket}/place-${places++}/deep`, {
        flags: { endpoint: proxy.endpoint, ...flags },
        environment: { ...server.environment, ...environment },
        ...{ clock, random: prng(1), limits, signal, onRetry, pageMax: 20 },
      });
    /** The first `times` requests that match have this trouble. */
    const fail = (trouble: Trouble, matches: (request: Seen) => boolean = () => true, times = 1): void => {
      let left = times;
      proxy.trouble = (request) => (matches(request) && left-- > 0 ? trouble : undefined);
    };

    test("a bucket keeps the promises of a store", async () => {
      proxy.trouble = () => undefined;
      await checkObjectStore(open(), 9 * MiB);
    });

    test("a list of many objects comes in pages", async () => {
      proxy.trouble = () => undefined;
      const store = open();
      const keys = Array.from({ length: 45 }, (_, n) => `k${n}`);
      await Promise.all(keys.map((key) => store.put(key, Buffer.from(key))));
      const requests = proxy.seen.length;
      assert.deepEqual(await keysOf(store), keys.sort());
      assert.equal(proxy.seen.length - requests, 3);
      assert.deepEqual(await keysOf(store, "k4"), ["k4", "k40", "k41", "k42", "k43", "k44"]);
    });

    const passing: readonly (readonly [string, Trouble])[] = [
      ["an error of the server", { kind: "status", status: 503, code: "SlowDown" }],
      ["an error inside", { kind: "status", status: 500, code: "InternalError" }],
      ["a cut connection", { kind: "cut" }],
      ["a lost answer", { kind: "lost-answer" }],
      ["a cut answer", { kind: "cut-answer" }],
      ["a damaged body", { kind: "damage" }],
      ["a slow server", { kind: "slow", ms: 30 }],
    ];
    // The stub is not another client: it runs them only where there is no real server.
    for (const [what, trouble] of kind === serverKinds[0] ? passing : []) {
      test(`${what} is repeated: uploads and downloads are whole`, async () => {
        const store = open();
        fail(trouble, () => true, 2);
        await store.put("small", Buffer.from("small"));
        const bytes = Buffer.from(Uint8Array.from({ length: 9 * MiB }, (_, at) => at * 11));
        // The begin of an upload, a part, and its end.
        const steps = ["uploads=", "partNumber=2", "?uploadId="];
        proxy.trouble = ({ path }) => {
          const at = steps.findIndex((step) => path.includes(step));
          if (at < 0) return undefined;
          steps.splice(at, 1);
          return trouble;
        };
        const writer = store.create("large", bytes.length);
        await writer.write(bytes);
        await writer.finish();
        assert.deepEqual(steps, []);
        assert.equal(await store.size("large"), bytes.length);
        fail(trouble, ({ method }) => method === "GET", 2);
        const read = await store.read("large", MiB, 8 * MiB);
        assert.equal(Buffer.compare(read!, bytes.subarray(MiB)), 0);
        fail(trouble, ({ method }) => method === "DELETE");
        await store.delete("small");
        proxy.trouble = () => undefined;
        assert.deepEqual(await keysOf(store), ["large"]);
      });
    }

    test("an error that stays ends the attempts, with the reason, and each pause is announced", async () => {
      const notices: RetryNotice[] = [];
      const store = open({ onRetry: (notice) => void notices.push(notice) });
      fail({ kind: "status", status: 503, code: "SlowDown" }, () => true, 100);
      const requests = proxy.seen.length;
      await assert.rejects(store.put("a", Buffer.from("x")), {
        kind: "unavailable",
        message: /failed: SlowDown/,
      });
      assert.equal(proxy.seen.length - requests, limits.attempts);
      assert.deepEqual(
        notices.map(({ attempt, attempts }) => [attempt, attempts]),
        [
          [1, 4],
          [2, 4],
          [3, 4],
        ],
      );
      for (const [n, { request, fault, pauseMs }] of notices.entries()) {
        assert.match(request, /^PUT place-\d+\/deep\/a$/);
        assert.match(fault.message, /failed: SlowDown/);
        const fullMs = Math.min(limits.longestMs, limits.firstMs * 2 ** n);
        assert.ok(pauseMs >= fullMs / 2 && pauseMs <= fullMs, `pause ${n} of ${pauseMs} ms`);
      }
      fail({ kind: "cut" }, () => true, 100);
      await assert.rejects(store.size("a"), { kind: "unavailable", message: /cannot be reached/ });
      assert.equal(notices.length, 6);
      assert.match(notices[5]!.fault.message, /cannot be reached/);
    });

    test("a part that fails ends the upload, and its parts are removed", async () => {
      const store = open();
      fail(
        { kind: "status", status: 500, code: "InternalError" },
        ({ path }) => path.includes("partNumber=1&"),
        100,
      );
      const writer = store.create("large", 20 * MiB);
      await assert.rejects(
        async () => {
          for (let n = 0; n < 20; n++) await writer.write(Buffer.alloc(MiB, n));
          await writer.finish();
        },
        { kind: "unavailable" },
      );
      await writer.abandon();
      assert.equal(await store.removeUnfinished(), 0);
      assert.deepEqual(await keysOf(store), []);
    });

    test("a clock that is wrong by hours signs with the time of the server", async () => {
      proxy.trouble = () => undefined;
      const wrong: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() - 5 * 3_600_000 };
      const store = open({ clock: wrong });
      assert.notEqual(await store.put("a", Buffer.from("x"), { ifAbsent: true }), undefined);
      assert.equal(await store.size("a"), 1);
      fail({ kind: "status", status: 403, code: "RequestTimeTooSkewed" }, () => true, 100);
      await assert.rejects(open().size("a"), {
        kind: "failed-precondition",
        message: /the clock of this machine/,
      });
    });

    test("lost credentials, a wrong key and a bucket that does not exist are said, and not repeated", async () => {
      proxy.trouble = () => undefined;
      const refuses = async (opened: Opened, expected: object): Promise<void> => {
        const requests = proxy.seen.length;
        await assert.rejects(open(opened).put("a", Buffer.from("x")), expected);
        assert.ok(proxy.seen.length - requests <= 1);
      };
      await refuses(
        { bucket: "no-such-bucket" },
        { kind: "not-found", message: /bucket no-such-bucket does not exist at 127/ },
      );
      await refuses({ environment: { AWS_ACCESS_KEY_ID: "wrong" } }, { kind: "permission-denied" });
      if (kind !== "stub")
        await refuses({ environment: { AWS_SECRET_ACCESS_KEY: "wrong" } }, { kind: "permission-denied" });
      await refuses(
        { environment: { AWS_ACCESS_KEY_ID: "" } },
        { kind: "config", message: /AWS_ACCESS_KEY_ID/ },
      );
      fail({ kind: "status", status: 403, code: "AccessDenied" });
      await assert.rejects(open().size("a"), { kind: "permission-denied", message: /AccessDenied/ });
    });

    test("credentials that expired are read again, once", async () => {
      const store = open();
      const requests = proxy.seen.length;
      fail({ kind: "status", status: 400, code: "ExpiredToken" });
      assert.notEqual(await store.put("a", Buffer.from("x")), undefined);
      assert.equal(proxy.seen.length - requests, 2);
      fail({ kind: "status", status: 400, code: "ExpiredToken" }, () => true, 100);
      await assert.rejects(store.size("a"), { kind: "permission-denied", message: /ExpiredToken/ });
    });

    test("a guard is asked before each attempt, and ends a write", async () => {
      const store = open();
      proxy.trouble = () => undefined;
      await store.put("a", Buffer.from("x"));
      let asked = 0;
      const guard = (limitMs: number, attempts: number) => (): number => {
        if (++asked > attempts) throw new Fault("locked", { message: "the lock is lost" });
        return limitMs;
      };
      fail({ kind: "status", status: 503, code: "SlowDown" }, () => true, 100);
      await assert.rejects(store.delete("a", guard(1_000, 2)), { kind: "locked" });
      assert.equal(asked, 3);
      proxy.trouble = () => undefined;
      assert.equal(await store.size("a"), 1);
      await assert.rejects(store.put("b", Buffer.from("x"), { ifAbsent: true }, guard(1_000, 0)), {
        kind: "locked",
      });
      assert.equal(await store.size("b"), undefined);
    });

    test("backups go on with a list that lags and without credentials, and a damaged answer is found", async () => {
      await using source = await BackupNode.open();
      await source.append(15);
      const store = open();
      proxy.trouble = () => undefined;
      const first = await source.write(store, 3);
      await source.append(15);
      const hidden: Trouble = { kind: "short-list", lacks: (name) => name.includes("/backups/") };
      const isList = ({ path }: Seen): boolean => path.includes("list-type");
      fail(hidden, isList, 100);
      const second = await source.write(store, 3);
      assert.ok(second.uploadedBytes < second.bytes);
      fail({ kind: "short-list", lacks: () => true }, isList, 100);
      await source.append(1);
      const third = await source.write(store, 3);
      // Lost in the middle of a backup.
      await source.append(15);
      const isFile = ({ method, path }: Seen): boolean => method === "PUT" && path.includes("/files/");
      fail({ kind: "status", status: 403, code: "InvalidAccessKeyId" }, isFile, 100);
      await assert.rejects(source.write(store, 3), { kind: "permission-denied" });
      proxy.trouble = () => undefined;
      const names = (await listBackups(store)).map(({ name }) => name);
      assert.deepEqual(names, [third.name, second.name, first.name]);
      for (const name of names) {
        await using restored = await BackupNode.restored(store, name);
        assert.ok(restored.index > 0);
      }
      fail({ kind: "damage-answer" }, ({ path }) => path.includes(".frames"));
      await assert.rejects(BackupNode.restored(store), { kind: "corrupt" });
      fail({ kind: "damage-answer" }, ({ path }) => path.includes("/backups/0"));
      await assert.rejects(BackupNode.restored(store), { kind: "corrupt" });
      const { isNew } = await source.write(store, 1);
      assert.ok(isNew);
      assert.equal((await listBackups(store)).length, 1);
    });

    test("the headers of encryption go with what creates an object", async () => {
      const requests = proxy.seen.length;
      proxy.trouble = () => undefined;
      const store = open({ flags: { encryption: "aws:kms", encryptionKey: "key-1" } });
      // The server may refuse them.
      await store.put("a", Buffer.from("x")).catch(() => undefined);
      const large = store.create("large", 9 * MiB);
      await large.write(Buffer.alloc(9 * MiB)).catch(() => undefined);
      await large.abandon();
      const creating = proxy.seen.slice(requests).filter(({ path }) => !path.includes("uploadId"));
      assert.ok(creating.length >= 2);
      for (const { headers } of creating) {
        assert.equal(headers["x-amz-server-side-encryption"], "aws:kms");
        assert.equal(headers["x-amz-server-side-encryption-aws-kms-key-id"], "key-1");
      }
    });

    test("a signal ends a pause between attempts", async () => {
      const stop = new AbortController();
      proxy.trouble = () => {
        stop.abort();
        return { kind: "cut" };
      };
      await assert.rejects(open({ signal: stop.signal }).size("a"), { kind: "canceled" });
    });
  });
}

/** A connection to a server in this process, for requests that need no signature. */
const connectionTo = (send: HttpExchanger["send"]): S3Connection =>
  new S3Connection({
    settings: { bucket: new URL("http://server/logs"), region: "us-east-1", encryption: {} },
    at: { url: "s3://logs", bucket: "logs", host: "server" },
    credentials: { get: async () => ({ accessKeyId: "a", secretAccessKey: "b" }) } as never,
    sign: async () => ({}),
    http: { send },
    ...{ clock: systemClock, random: prng(1) },
  });

test("a guard limits the time of an attempt, beside that of the bytes", async () => {
  const limitsMs: unknown[] = [];
  const connection = connectionTo(async ({ limitMs, slowestBytesPerMs }) => {
    limitsMs.push([limitMs, slowestBytesPerMs]);
    return { status: 200, headers: { etag: "x" }, body: new Uint8Array() };
  });
  const store = new S3Store("s3://logs", connection, "");
  await store.delete("a", () => 40_000);
  await store.delete("a", () => 100_000);
  await store.put("a", new Uint8Array(32_000), undefined, () => 1_000);
  // Without a guard, the bytes that arrive give more time, not those that may arrive.
  await store.readWhole("a", 1024 * MiB);
  assert.deepEqual(limitsMs, [
    [40_000, undefined],
    [60_000, undefined],
    [2_000, undefined],
    [60_000, 32],
  ]);
});

test("a list that does not end, and pages that are larger than was asked for, are refused", async () => {
  let pages = 0;
  let onPage = 2;
  const connection = connectionTo(async () => {
    const item =
      "<Contents><Key>a</Key><LastModified>2026-11-30T19:00:00Z</LastModified><Size>1</Size></Contents>";
    const xml = `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>${++pages}</NextContinuationToken>${item.repeat(onPage)}</ListBucketResult>`;
    return { status: 200, headers: {}, body: new TextEncoder().encode(xml) };
  });
  const store = new S3Store("s3://logs", connection, "", 2);
  await assert.rejects(keysOf(store, ""), { kind: "corrupt", message: /does not end/ });
  assert.equal(pages, 1_000);
  onPage = 3;
  await assert.rejects(keysOf(store, ""), { kind: "corrupt", message: /lists 3 objects at a time/ });
  assert.equal(pages, 1_001);
});
