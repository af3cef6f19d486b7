/** The entry of the worker that writes rows. It does one job after the other, until the main thread ends it. */
import { parentPort } from "node:worker_threads";
import { systemDisk } from "../../lib/disk/system-disk.ts";
import { RowJobs } from "./row-jobs.ts";
import { type FromWorker, failureOf, type ToWorker } from "./worker-messages.ts";

const jobs = new RowJobs(systemDisk);

parentPort?.on("message", (message: ToWorker) => {
  if ("changes" in message) {
    jobs.take(message.changes);
    return;
  }
  const { job, work } = message;
  let failure: FromWorker["failure"];
  let result: number | undefined;
  try {
    result = jobs.run(work);
  } catch (reason) {
    failure = failureOf(reason);
  }
  parentPort?.postMessage({ job, failure, result } satisfies FromWorker);
});
