/**
 * How long a piece of work holds the event loop, in CPU time of this thread: what other processes take of the machine
 * meanwhile does not count, so a test may assert on it.
 */

/** The most CPU milliseconds that one turn of the event loop used while `work` ran. */
export async function longestTurnMs(work: () => unknown): Promise<number> {
  let longest = 0;
  let last = cpuMs();
  let running = true;
  const look = (): void => {
    const now = cpuMs();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  try {
    await work();
  } finally {
    await new Promise((resolve) => setImmediate(resolve));
    running = false;
    look();
  }
  return longest;
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
