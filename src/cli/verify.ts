/**
 * `tailrace verify DIR`: looks through a data directory offline. `--compare` holds several against each other.
 *
 * Never: changes a byte.
 */
import type { Command } from "commander";
import { exitStatus, run } from "./exit.ts";

interface Options {
  readonly json?: true;
  readonly compare?: true;
}

export function register(program: Command): void {
  program
    .command("verify")
    .description("check every checksum, index entry and offset of a data directory, offline")
    .argument("<directory...>", "data directory; several with --compare")
    .option("--json", "one JSON object instead of lines")
    .option("--compare", "are the records that all of them hold the same?")
    .action(async (directories: string[], options: Options) => {
      await run("verify", () =>
        options.compare ? compare(directories, options) : verify(directories, options),
      );
    });
}

async function verify(directories: readonly string[], { json }: Options): Promise<number> {
  const { openPlace } = await import("./data-directory.ts");
  const { verifyLog } = await import("../log/mod.ts");
  let status: number = exitStatus.done;
  for (const directory of directories) {
    await using opened = await openPlace(directory, true);
    const { records, lowest, next, bytes, findings, torn } = verifyLog(opened.place);
    const ok = findings.length === 0;
    if (!ok) status = exitStatus.corrupt;
    if (json) {
      print(
        JSON.stringify({
          ok,
          records,
          lowest,
          next,
          bytes,
          findings,
          ...(torn === undefined ? {} : { torn }),
        }),
      );
      continue;
    }
    if (torn !== undefined) {
      const where = `${torn.file} at byte ${torn.position}`;
      process.stderr.write(
        `a torn write group in ${where}: the next start cuts it off and keeps it beside\n`,
      );
    }
    for (const { file, position, kind } of findings) print(`${file} ${position} ${kind}`);
    if (ok) print(`ok records=${records} lowest=${lowest} next=${next} bytes=${bytes}`);
    else process.stderr.write(`damaged; see what a repair would cut: tailrace repair ${directory}\n`);
  }
  return status;
}

async function compare(named: readonly string[], { json }: Options): Promise<number> {
  const { resolve } = await import("node:path");
  const directories = [...new Set(named.map((name) => resolve(name)))];
  const { openPlace } = await import("./data-directory.ts");
  const { compareLogs } = await import("../log/mod.ts");
  if (directories.length < 2) {
    process.stderr.write("tailrace verify: --compare needs two directories or more\n");
    return exitStatus.usage;
  }
  await using stack = new AsyncDisposableStack();
  const places = [];
  for (const directory of directories) places.push(stack.use(await openPlace(directory, true)).place);
  const { from, to, hashes, findings } = compareLogs(places);
  const identical = findings.length === 0 && new Set(hashes).size <= 1;
  const status = identical ? exitStatus.done : exitStatus.corrupt;
  if (json) {
    print(JSON.stringify({ identical, from, to, sha256: hashes, findings }));
    return status;
  }
  for (const { directory, file, position, kind } of findings)
    print(`${directory}/log/${file} ${position} ${kind}`);
  if (identical) print(`identical ${from}..${to} sha256=${hashes[0] ?? ""}`);
  else
    for (const [n, hash] of hashes.entries())
      print(`different ${from}..${to} sha256=${hash} ${directories[n]}`);
  return status;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
