/**
 * Measures how long work blocks the event loop, in CPU time of this thread. The load of other processes does not count,
 * so a test can assert on the result.
 */

/** Returns the CPU milliseconds of the longest turn of the event loop while `work` ran. */
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
