/**
 * Reports that one of some files has changed and is complete.
 *
 * A path may contain symbolic links and directories that are replaced: an editor renames a new file into
 * place, Kubernetes swaps a link beside the mounted files, a deployment swaps a link above them. So every directory in
 * which a step of the path is looked up is watched for the name of that step (`path-steps.ts`). After an event the path
 * is looked up again and the watches move with it.
 *
 * A file that is written in place may look complete in between. So the listener is called when the files did not change
 * for a while and, where the system reports it, no process has one of them open for writing (`file-settling.ts`).
 * Nothing is polled while nothing changes. The watches do not keep the process alive.
 */
import { type FSWatcher, statSync, watch } from "node:fs";
import { type Clock, systemClock, type Timer } from "../time/clock.ts";
import { FileSettling } from "./file-settling.ts";
import { pathSteps } from "./path-steps.ts";

export interface FileWatchOptions {
  readonly clock?: Clock;
  /** Milliseconds from the first event to the first check of the files. Default 100. */
  readonly quietMs?: number;
  /** Called if a directory cannot be watched, for example at the system's limit of watches. SIGHUP still works. */
  readonly onError?: (error: unknown) => void;
}

export interface FileWatch extends Disposable {
  /** Resolves the paths again and watches the directories of their current steps. */
  follow(): void;
}

/** Calls `listener` after a possible change of one of `paths`, which are absolute. The listener checks what changed. */
export function watchFiles(
  paths: readonly string[],
  listener: () => void,
  options: FileWatchOptions = {},
): FileWatch {
  const { clock = systemClock, quietMs = 100, onError = () => {} } = options;
  const directories = new WatchedDirectories(() => schedule(quietMs), onError);
  let settling: FileSettling | undefined;
  let timer: Timer | undefined;
  let closed = false;

  const schedule = (delayMs: number): void => {
    if (!closed) timer ??= clock.after(delayMs, look);
  };
  const look = (): void => {
    timer = undefined;
    follow();
    settling ??= new FileSettling(paths, clock);
    const waitMs = settling.look();
    if (waitMs > 0) {
      schedule(waitMs);
      return;
    }
    settling = undefined;
    listener();
  };
  const follow = (): void => {
    // A change between resolving a path and watching it causes no event. So repeat until nothing moves.
    for (let tries = 0; tries < triesMax && !closed; tries++)
      if (!directories.arrange(stepsOf(paths))) return;
  };

  follow();
  return {
    follow,
    [Symbol.dispose]() {
      closed = true;
      timer?.cancel();
      directories.close();
    },
  };
}

/** A path that changes faster is resolved again at the next event. */
const triesMax = 5;

/** Directory → the names that are looked up in it. */
type Steps = ReadonlyMap<string, ReadonlySet<string>>;

function stepsOf(paths: readonly string[]): Steps {
  const found = new Map<string, Set<string>>();
  for (const { directory, name } of paths.flatMap((path) => pathSteps(path))) {
    found.set(directory, (found.get(directory) ?? new Set()).add(name));
  }
  return found;
}

interface WatchedDirectory {
  readonly watcher: FSWatcher;
  /** Device and inode. A directory that was replaced has another identity under the same name. */
  readonly identity: string;
  names: ReadonlySet<string>;
}

class WatchedDirectories {
  readonly #onEvent: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #watched = new Map<string, WatchedDirectory>();
  /** Directories whose failure was reported. */
  readonly #failed = new Set<string>();

  constructor(onEvent: () => void, onError: (error: unknown) => void) {
    this.#onEvent = onEvent;
    this.#onError = onError;
  }

  /** Opens the missing watches and closes those not wanted. Returns true if it opened one. */
  arrange(wanted: Steps): boolean {
    let opened = false;
    for (const [directory, names] of wanted) {
      try {
        opened = this.#watch(directory, names) || opened;
        this.#failed.delete(directory);
      } catch (error) {
        this.#unwatch(directory);
        if (!this.#failed.has(directory)) this.#onError(error);
        this.#failed.add(directory);
      }
    }
    for (const directory of [...this.#watched.keys()]) if (!wanted.has(directory)) this.#unwatch(directory);
    return opened;
  }

  close(): void {
    for (const directory of [...this.#watched.keys()]) this.#unwatch(directory);
  }

  #watch(directory: string, names: ReadonlySet<string>): boolean {
    const { dev, ino } = statSync(directory, { bigint: true });
    const identity = `${dev}:${ino}`;
    const known = this.#watched.get(directory);
    if (known?.identity === identity) {
      known.names = names;
      return false;
    }
    this.#unwatch(directory);
    const made: WatchedDirectory = { identity, names, watcher: watch(directory, { persistent: false }) };
    made.watcher.on("change", (_event, name) => {
      if (name === null || made.names.has(String(name))) this.#onEvent();
    });
    made.watcher.on("error", this.#onError);
    this.#watched.set(directory, made);
    return true;
  }

  #unwatch(directory: string): void {
    this.#watched.get(directory)?.watcher.close();
    this.#watched.delete(directory);
  }
}
