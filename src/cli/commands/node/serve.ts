/**
 * `tailrace serve`: runs a node. The first SIGTERM or SIGINT stops it in order, a second one at once. SIGHUP reloads the
 * access files and certificates. SIGUSR2 hands leadership over. Standard output has only the ready line and the next steps.
 */
import type { Command } from "commander";
import type { Agent } from "../../../agent/mod.ts";
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
  const handOver = handleSignals();
  const { readFileSync } = await import("node:fs");
  const { Fault } = await import("../../../fault.ts");
  const { IdleCollection, setGcFlags, machineMemory, printFlags, readConfig, startAgent } = await import(
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
    handOver(agent);
    using _idle = new IdleCollection();
    void agent.ready.then(() => process.stdout.write(`${agent.readyLine}\n${agent.nextSteps}\n`));
    // The node continues if standard output is closed.
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

type Signaled = Pick<Agent, "stop" | "reload" | "handOver">;

/** One Ctrl-C can arrive twice: from the terminal and from npm. */
const sameSignalMs = 500;

/**
 * Handles signals from now on. Returns a function that must get the agent when it has started, which can take as long as
 * the cluster needs to form. A stop before that ends the process at once: all acknowledged records are on disk.
 */
function handleSignals(): (agent: Signaled) => void {
  let agent: Signaled | undefined;
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
  // A node that is starting leads nothing.
  process.on("SIGUSR2", () => agent?.handOver());
  return (started) => {
    agent = started;
    if (reload) agent.reload(); // The agent may have read the files before the signal.
  };
}

const footer = `Every flag is also a variable (--data-dir is TAILRACE_DATA_DIR) and a key of --config-file (data-dir).
A flag overrides a variable, a variable overrides the file. tailrace config print shows the effective settings.
`;
