/**
 * Many named logs, beside NATS JetStream with as many streams and Redis Streams with as many keys. One node each, and every
 * acknowledgment follows a sync to disk. A server whose program is not installed is left out, with a message.
 *
 *   npm run bench -- logs                   10,000 logs
 *   npm run bench -- logs 1000              another number of logs, up to 100,000
 *   npm run bench -- logs appends tails     some of the cases: appends, tails, restarts, reads
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "./load/server-process.ts";
import { median, report } from "./report.ts";
import { drop, installed, started } from "./servers/contenders.ts";
import { type LogClient, type LogServer, pipelined } from "./servers/log-server.ts";
import { dropFromPageCache, usageOf } from "./servers/program.ts";

const rounds = 3;
const appendsInFlight = 64;
const createsInFlight = 256;
const roundMs = 1_500;
const idleMs = 4_000;
const activePerSecond = 100;
/** An odd number: medians. */
const tailRounds = 5;
const openedMs = 500;
/** NATS deletes the consumers of a closed connection after five seconds. */
const closedMs = 6_000;
/** The case `reads`: so many logs with so many records each, appended in turn, and one log whose records lie together. */
const interleaved = { logs: 1_000, records: 200, reads: 5, warmUps: 100 };

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const mega = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;

interface Row {
  readonly server: LogServer;
  readonly value: number;
  readonly note?: string;
}

/** Prints a figure of each server. The figures of the others come with the ratio of Tailrace's to them. */
function show(name: string, unit: string, rows: readonly Row[], bar?: string): void {
  const ours = rows.find(({ server }) => server.name === "Tailrace");
  if (rows.length > 0) console.log(bar === undefined ? name : `${name} (bar ${bar})`);
  for (const { server, value, note = "" } of rows) {
    const isOurs = server === ours?.server;
    const ratio = isOurs || ours === undefined ? "" : `Tailrace: ${(ours.value / value).toFixed(2)} of it`;
    const notes = [note, ratio].filter((part) => part !== "").join(", ");
    report({ name: `  ${server.name}`, value, unit, note: notes });
  }
}

/** Runs `work` for one server after another. One that refuses is left out from there on, with a message. */
async function forEach(
  servers: LogServer[],
  work: (server: LogServer) => Promise<Row | undefined>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const server of [...servers]) {
    try {
      const row = await work(server);
      if (row !== undefined) rows.push(row);
    } catch (error) {
      servers.splice(servers.indexOf(server), 1);
      console.log(`${server.name} is left out from here: ${error instanceof Error ? error.message : error}`);
      await drop(server);
    }
  }
  return rows;
}

type Rate = Row & { readonly note: string; readonly cpuMicros: number };

/** Runs `work` with a connection and returns its rate, with the server's use of the machine. */
async function rateOf(server: LogServer, work: (client: LogClient) => Promise<number>): Promise<Rate> {
  const client = await server.connect();
  const before = usageOf(server);
  const began = performance.now();
  const count = await work(client);
  const seconds = (performance.now() - began) / 1_000;
  const { cpuSeconds, residentBytes, descriptors } = usageOf(server);
  client.close();
  const cpuMicros = ((cpuSeconds - before.cpuSeconds) * 1e6) / count;
  const note = `${cpuMicros.toFixed(0)} µs CPU each, ${mega(residentBytes)}, ${descriptors} fds`;
  return { server, value: count / seconds, note, cpuMicros };
}

/** Creates the logs and appends two records to each. Shows what a log costs. */
async function fill(servers: LogServer[], logs: number): Promise<void> {
  const empty = new Map(servers.map((server) => [server, usageOf(server)]));
  const creates = await forEach(servers, async (server) => {
    const client = await server.connect();
    client.close();
    const { create } = client;
    if (create === undefined) return undefined;
    return rateOf(server, async (opened) => {
      await pipelined(logs, createsInFlight, (log) => opened.create?.(log) as Promise<void>);
      return logs;
    });
  });
  show(`create ${logs} logs, ${createsInFlight} in flight`, "/s", creates, "5,000");
  for (const turn of ["first", "second"]) {
    const rows = await forEach(servers, (server) =>
      rateOf(server, async (client) => {
        await pipelined(logs, appendsInFlight, (log) => client.append(log));
        return logs;
      }),
    );
    show(`${turn} append to each, ${appendsInFlight} in flight`, "/s", rows);
  }
  const memory: Row[] = [];
  const disk: Row[] = [];
  const descriptors: Row[] = [];
  for (const server of servers) {
    const [before, after] = [empty.get(server)!, usageOf(server)];
    memory.push({
      server,
      value: (after.residentBytes - before.residentBytes) / logs,
      note: mega(after.residentBytes),
    });
    disk.push({ server, value: (after.diskBytes - before.diskBytes) / logs, note: mega(after.diskBytes) });
    descriptors.push({ server, value: after.descriptors, note: `${before.descriptors} without logs` });
  }
  show("memory of a log with 2 records", "B", memory);
  show("disk of a log with 2 records", "B", disk);
  show("descriptors", "", descriptors);
}

/** Appends for `roundMs` and returns how many. */
async function appendAll(client: LogClient, logs: number): Promise<number> {
  const end = performance.now() + roundMs;
  let count = 0;
  const worker = async (): Promise<void> => {
    // A prime step, so that the logs of one write group are not neighbors.
    while (performance.now() < end) await client.append((count++ * 7_919) % logs);
  };
  await Promise.all(Array.from({ length: appendsInFlight }, worker));
  return count;
}

/** Appends to all logs and to one, in turn, so that the load of the machine affects both. */
async function appends(servers: LogServer[], logs: number): Promise<void> {
  const found = new Map<LogServer, { readonly all: Rate; readonly one: Rate }[]>();
  for (let round = 0; round <= rounds; round++) {
    await forEach(servers, async (server) => {
      const all = await rateOf(server, (client) => appendAll(client, logs));
      const one = await rateOf(server, (client) => appendAll(client, 1));
      // The first round warms up.
      if (round > 0) found.set(server, [...(found.get(server) ?? []), { all, one }]);
      return undefined;
    });
  }
  const rows = (pick: (pair: { readonly all: Rate; readonly one: Rate }) => number, noteOf?: "all" | "one") =>
    servers.map((server) => {
      const pairs = (found.get(server) ?? []).toSorted((left, right) => pick(left) - pick(right));
      const middle = pairs[Math.floor(pairs.length / 2)]!;
      return { server, value: pick(middle), note: noteOf === undefined ? "" : middle[noteOf].note };
    });
  show(
    `append to ${logs} logs in turn, ${appendsInFlight} in flight`,
    "/s",
    rows(({ all }) => all.value, "all"),
  );
  show(
    `append to one of them, ${appendsInFlight} in flight`,
    "/s",
    rows(({ one }) => one.value, "one"),
  );
  show(
    "all against one: rate",
    "",
    rows(({ all, one }) => all.value / one.value),
    "0.8",
  );
  show(
    "all against one: CPU of one append",
    "",
    rows(({ all, one }) => all.cpuMicros / one.cpuMicros),
  );
}

/** Returns the share of a core that the server uses while `perSecond` records a second are appended to log 0. */
async function cpuShare(server: LogServer, client: LogClient, perSecond: number): Promise<number> {
  const before = usageOf(server).cpuSeconds;
  const began = performance.now();
  const appending: Promise<void>[] = [];
  while (performance.now() - began < idleMs) {
    const due = ((performance.now() - began) / 1_000) * perSecond;
    while (appending.length < due) appending.push(client.append(0));
    await pause(5);
  }
  await Promise.all(appending);
  const seconds = (performance.now() - began) / 1_000;
  return ((usageOf(server).cpuSeconds - before) / seconds) * 100;
}

interface TailRound {
  /** Of a core, with a tail on the active log alone, and with tails on all logs. */
  readonly one: number;
  readonly all: number;
}

/** A tail on the active log alone. */
async function oneTail(server: LogServer, appender: LogClient): Promise<number> {
  const client = await server.connect();
  await client.tail(1, () => undefined);
  await pause(openedMs);
  const share = await cpuShare(server, appender, activePerSecond);
  client.close();
  return share;
}

/** Tails on all logs, while one of them gets records. */
async function allTails(server: LogServer, appender: LogClient, logs: number) {
  const client = await server.connect();
  const before = usageOf(server);
  const began = performance.now();
  let received = 0;
  await client.tail(logs, () => {
    received++;
  });
  const openMs = performance.now() - began;
  await pause(openedMs);
  const { residentBytes, descriptors } = usageOf(server);
  const idle = await cpuShare(server, appender, 0);
  const expected = received + (idleMs / 1_000) * activePerSecond;
  const share = await cpuShare(server, appender, activePerSecond);
  await pause(100);
  client.close();
  await pause(closedMs);
  if (received < expected - 1) throw new Error(`${received} of ${expected} records reached their tail`);
  return { share, idle, openMs, descriptors, bytes: (residentBytes - before.residentBytes) / logs };
}

/**
 * Tails on all logs while one of them gets records, against a tail on that one only, in alternating rounds, because the load of
 * the machine changes.
 */
async function tails(servers: LogServer[], logs: number): Promise<void> {
  const memory: Row[] = [];
  const cpu = await forEach(servers, async (server) => {
    const appender = await server.connect();
    await oneTail(server, appender); // warms up
    const idle = await cpuShare(server, appender, 0);
    const found: TailRound[] = [];
    const idleWithTails: number[] = [];
    for (let round = 0; round < tailRounds; round++) {
      const one = await oneTail(server, appender);
      const all = await allTails(server, appender, logs);
      found.push({ one, all: all.share });
      idleWithTails.push(all.idle);
      const note = `${all.descriptors} fds, opened in ${(all.openMs / 1_000).toFixed(1)} s`;
      // Later rounds use the memory of the first one again.
      if (round === 0) memory.push({ server, value: all.bytes, note });
    }
    appender.close();
    const differences = found.map(({ one, all }) => all - one);
    const [least, most] = [Math.min(...differences), Math.max(...differences)];
    const parts = [
      `${least.toFixed(2)} to ${most.toFixed(2)} in ${tailRounds} rounds`,
      `with ${activePerSecond} appends/s ${median(found.map(({ one }) => one)).toFixed(2)} → ${median(found.map(({ all }) => all)).toFixed(2)}`,
      `idle ${idle.toFixed(2)} → ${median(idleWithTails).toFixed(2)}`,
    ];
    return { server, value: Math.max(0.01, median(differences)), note: parts.join(", ") };
  });
  show(`CPU of ${logs} tails, one log active, above one tail`, "% core", cpu, "1");
  show("memory of a tail", "B", memory);
}

/** From SIGKILL and a new start to the first acknowledged append. */
async function restarts(servers: LogServer[], logs: number): Promise<void> {
  const rows = await forEach(servers, async (server) => {
    const times: number[] = [];
    // One that takes long is not repeated.
    while (times.length < rounds && (times[0] ?? 0) < 5_000) {
      await server.program.end("SIGKILL");
      const began = performance.now();
      await started(server, (client) => client.append(logs - 1));
      times.push(performance.now() - began);
    }
    const { residentBytes, cpuSeconds } = usageOf(server);
    return { server, value: median(times), note: `${mega(residentBytes)}, ${cpuSeconds.toFixed(1)} s CPU` };
  });
  show(`restart after SIGKILL with ${logs} logs, to the first append`, "ms", rows);
}

/**
 * Reads logs whose records lie between those of 999 others, and logs whose records lie together. Each log is read once, and
 * the files are dropped from the page cache before. Reads of other logs of both kinds warm the program up: with reads of the
 * second kind alone, the first reads of the other kind took two to three times as much processor time.
 */
async function reads(servers: LogServer[]): Promise<void> {
  const { logs: many, records, reads: times, warmUps } = interleaved;
  const warm = many + times;
  const rows = new Map<LogServer, { readonly apart: number; readonly together: number }>();
  await forEach(servers, async (server) => {
    await started(server, undefined, "never");
    const writer = await server.connect();
    if (writer.create) await pipelined(warm + 1, 64, (log) => writer.create?.(log) as Promise<void>);
    await pipelined(many * records, many, (at) => writer.append(at % many));
    for (let log = many; log <= warm; log++) await pipelined(records, 64, () => writer.append(log));
    writer.close();
    await server.program.end("SIGTERM");
    await started(server);
    const client = await server.connect();
    for (let at = 0; at < warmUps; at++) {
      await client.read(warm, records);
      // Not those that are timed, 7, 107, 207 …
      await client.read(at % 7, records);
    }
    const timed = async (log: number): Promise<number> => {
      dropFromPageCache(server.directory);
      const began = performance.now();
      await client.read(log, records);
      return performance.now() - began;
    };
    const apart: number[] = [];
    const together: number[] = [];
    for (let at = 0; at < times; at++) {
      apart.push(await timed(100 * at + 7));
      together.push(await timed(many + at));
    }
    client.close();
    await drop(server);
    rows.set(server, { apart: median(apart), together: median(together) });
    return undefined;
  });
  const rate = (pick: "apart" | "together") =>
    servers.map((server) => ({ server, value: (records / rows.get(server)![pick]) * 1_000 }));
  const name = `cold read of ${records} records`;
  show(`${name}, one of ${many} logs`, "rec/s", rate("apart"));
  show(`${name}, alone`, "rec/s", rate("together"));
  const ratios = servers.map((server) => ({
    server,
    value: rows.get(server)!.together / rows.get(server)!.apart,
  }));
  show("ratio of the two", "", ratios, "0.25");
}

const cases = { appends, tails, restarts };

export async function run(words: readonly string[]): Promise<void> {
  const logs = Number(words.find((word) => /^\d+$/.test(word)) ?? 10_000);
  const only = words.filter((word) => !/^\d+$/.test(word));
  const isSelected = (name: string): boolean => only.length === 0 || only.includes(name);
  compile();
  const directory = mkdtempSync(join(tmpdir(), "tailrace-bench-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  const servers = await installed(directory, "many");
  const readServers = await installed(directory, "read");
  console.log(
    `${servers.map(({ name, version }) => `${name} ${version}`).join(", ")}; load ${loadavg()[0]?.toFixed(2)}`,
  );
  try {
    if (Object.keys(cases).some(isSelected)) {
      for (const server of servers) await started(server);
      await fill(servers, logs);
      for (const [name, measure] of Object.entries(cases)) if (isSelected(name)) await measure(servers, logs);
      for (const server of servers) await drop(server);
    }
    if (isSelected("reads")) await reads(readServers);
  } finally {
    for (const server of [...servers, ...readServers]) await drop(server);
  }
}
