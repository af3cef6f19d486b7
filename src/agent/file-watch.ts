/**
 * Tells when one of some files may have changed. It watches their directories, because editors and Kubernetes
 * replace a file rather than write to it, and waits for a quiet moment, because one save is several events.
 * What changed, if anything, is for the listener to find out; it is called at most every `quietMs`.
 *
 * Never: reads the files, polls, keeps the process alive.
 */
import { type FSWatcher, realpathSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { type Clock, systemClock, type Timer } from "../lib/clock.ts";

export interface FileWatchOptions {
  readonly clock?: Clock;
  /** From the first event to the call, in milliseconds. Default 100. */
  readonly quietMs?: number;
  /** Watching is not possible, or no longer: the system's limit, a directory removed. SIGHUP still works. */
  readonly onError?: (error: unknown) => void;
}

/** Calls `listener` when something happened to one of `paths`. */
export function watchFiles(
  paths: readonly string[],
  listener: () => void,
  options: FileWatchOptions = {},
): Disposable {
  const { clock = systemClock, quietMs = 100, onError = () => {} } = options;
  const watchers: FSWatcher[] = [];
  let timer: Timer | undefined;
  const namesOf = directories(paths);
  for (const [directory, names] of namesOf) {
    try {
      const watcher = watch(directory, { persistent: false }, (_event, name) => {
        // Kubernetes swaps a link named `..data` beside the file.
        if (name !== null && !names.has(name) && !name.startsWith("..")) return;
        timer ??= clock.after(quietMs, () => {
          timer = undefined;
          listener();
        });
      });
      watcher.on("error", onError);
      watchers.push(watcher);
    } catch (error) {
      onError(error);
    }
  }
  return {
    [Symbol.dispose]() {
      timer?.cancel();
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** Directory → names to look for in it; a link is followed, so that a change behind it is seen too. */
function directories(paths: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const add = (path: string): void => {
    const names = found.get(dirname(path)) ?? new Set();
    found.set(dirname(path), names.add(basename(path)));
  };
  for (const path of paths) {
    add(path);
    try {
      add(realpathSync(path));
    } catch {
      // It is not there now; should it come, its directory tells.
    }
  }
  return found;
}
