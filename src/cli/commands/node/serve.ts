/**
 * `tailrace serve`: runs a node until it is told to stop. The first SIGTERM or SIGINT stops it in order, a second one
 * at once; SIGHUP reads access files and certificates again.
 *
 * Never: prints to standard output but the ready line and the line to paste.
 */
import type { Command } from "commander";
import { examplesText } from "../../examples.ts";
import { exitStatus } from "../../exit-status.ts";
import { faultLine } from "../../output/fault-line.ts";
import { systemFault } from "../../run-command.ts";

export function register(program: Command): void {
  program
    .command("serve")
    .description("run a node")
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .argument("[flags...]", "see tailrace serve --help")
    .action((_flags: unknown, _options: unknown, command: Command) => serve(command.args));
}

/** Runs a node with these flags until it has stopped. */
export async function serve(flags: readonly string[]): Promise<void> {
  const onAgent = obeySignals();
  const { readFileSync } = await import("node:fs");
  const { Fault } = await import("../../../fault.ts");
  const { setGcFlags, machineMemory, printFlags, readConfig, startAgent } = await import(
    "../../../agent/mod.ts"
  );
  if (flags.some((flag) => flag === "--help" || flag === "-h")) {
    process.stdout.write(
      `Usage: tailrace serve [flags]\n\n${printFlags()}\n${footer}${examplesText("serve")}`,
    );
    return;
  }
  let config: ReturnType<typeof readConfig>["config"];
  try {
    ({ config } = readConfig({
      flags,
      environment: process.env,
      readFile: (path) => readFileSync(path, "utf8"),
    }));
  } catch (reason) {
    console.error(faultLine("serve", Fault.from(reason)));
    process.exitCode = exitStatus.usage;
    return;
  }
  setGcFlags(machineMemory());
  try {
    const agent = await startAgent({ config, environment: process.env });
    onAgent(agent);
    void agent.ready.then(() => process.stdout.write(`${agent.readyLine}\n${agent.nextSteps}\n`));
    // Nobody need listen to us for the node to serve.
    process.stdout.on("error", () => undefined);
    await agent.stopped;
    process.exit(process.exitCode ?? exitStatus.done);
  } catch (reason) {
    const fault = reason instanceof Fault ? reason : systemFault(reason);
    if (fault === undefined) throw reason;
    console.error(faultLine("serve", fault));
    process.exit(fault.kind === "corrupt" ? exitStatus.corrupt : exitStatus.failed);
  }
}

interface Stoppable {
  stop(): Promise<void>;
  reload(): void;
}

/** One Ctrl-C can come twice: from the terminal, and passed on by npm. */
const sameSignalMs = 500;

/**
 * Obeys signals from now on, the start included, which may take as long as a cluster takes to form; answers whom to
 * hand the node when it is there. Told to stop before that, there is nobody to say goodbye to: what was acknowledged
 * is on disk.
 */
function obeySignals(): (agent: Stoppable) => void {
  let agent: Stoppable | undefined;
  let stoppingSince: number | undefined;
  let reload = false;
  const stop = (): void => {
    const now = performance.now();
    if (agent === undefined) process.exit(exitStatus.done);
    if (stoppingSince === undefined) {
      stoppingSince = now;
      void agent.stop();
    } else if (now - stoppingSince > sameSignalMs) process.exit(exitStatus.failed);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", () => {
    if (agent === undefined) reload = true;
    else agent.reload();
  });
  return (started) => {
    agent = started;
    if (reload) agent.reload(); // The files may have been read before it came.
  };
}

const footer = `Every flag is also a variable (--data-dir is TAILRACE_DATA_DIR) and a key of --config-file (data-dir).
A flag beats a variable, a variable the file. tailrace config print shows what holds.
`;
