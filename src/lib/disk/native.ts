/**
 * Calls of the C library that Node lacks, through koffi: flock, fallocate, posix_fadvise, mmap, fcntl, malloc. Where koffi does not load
 * (another libc or system), native() is undefined and every user has a fallback. Correctness does not depend on it: it
 * gives a better lock, cheaper preallocation and a smaller heap.
 */
import { createRequire } from "node:module";
import { getSystemErrorName } from "node:util";

export interface Native {
  /** Returns true if the lock was taken, false if another process has it. Other errors are thrown with `code`. */
  lock(descriptor: number): boolean;
  /** Returns true if the blocks were allocated, false if the file system cannot. Throws ENOSPC. */
  allocate(descriptor: number, bytes: number): boolean;
  /**
   * Returns true if a process has the file open for writing. `descriptor` is open for reading. Undefined if unknown: it is
   * known on Linux, for files of the process's own user, on most file systems. Absent on other systems.
   */
  hasWriter?(descriptor: number): boolean | undefined;
  /** Makes the system read these bytes into its cache, without waiting for them. Absent on systems that are not Linux. */
  willRead?(descriptor: number, position: number, bytes: number): void;
  /** Maps a file read-only. The view must not be touched after unmap(). */
  map(descriptor: number, bytes: number): { readonly view: ArrayBuffer; unmap(): void };
  /** Makes malloc map each block of at least so many bytes separately, so that free() returns it to the system. */
  mapBlocksFrom(bytes: number): void;
  /** Returns memory that malloc caches to the system. */
  trim(): void;
}

let loaded: Native | undefined;
let tried = false;

/** Returns the native calls, loaded at first use, or undefined. */
export function native(): Native | undefined {
  if (!tried) {
    tried = true;
    try {
      loaded = load();
    } catch {
      loaded = undefined; // Another libc or system: every user has a fallback.
    }
  }
  return loaded;
}

type Koffi = typeof import("koffi");
type Library = ReturnType<Koffi["load"]>;
type Errno = Readonly<Record<string, number>>;

function load(): Native {
  const koffi = createRequire(import.meta.url)("koffi") as Koffi;
  const libc = koffi.load(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6");
  const flock = libc.func("int flock(int fd, int operation)");
  const fallocate =
    process.platform === "linux" ? libc.func("int fallocate(int, int, int64, int64)") : undefined;
  const mmap = libc.func("void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64 offset)");
  const munmap = libc.func("int munmap(void *addr, size_t length)");
  const malloc = process.platform === "linux" ? glibcMalloc(libc) : undefined;
  const { EAGAIN, ENOSPC, EINTR } = koffi.os.errno as Errno;
  const failed = (call: string): Error => {
    const errno = koffi.errno();
    return Object.assign(new Error(`${call} failed with errno ${errno}`), {
      code: getSystemErrorName(-errno),
    });
  };
  const lockExclusiveNow = 2 | 4;
  const protectRead = 1;
  const mapShared = 1;
  return {
    ...(process.platform === "linux"
      ? { hasWriter: leaseProbe(koffi, libc), willRead: readAhead(libc) }
      : {}),
    lock(descriptor) {
      while (flock(descriptor, lockExclusiveNow) !== 0) {
        if (koffi.errno() === EAGAIN) return false;
        if (koffi.errno() !== EINTR) throw failed("flock");
      }
      return true;
    },
    allocate(descriptor, bytes) {
      if (fallocate === undefined) return false;
      while (fallocate(descriptor, 0, 0, bytes) !== 0) {
        if (koffi.errno() === ENOSPC) throw failed("fallocate");
        if (koffi.errno() !== EINTR) return false;
      }
      return true;
    },
    mapBlocksFrom(bytes) {
      malloc?.mallopt(mallocMapThreshold, bytes);
    },
    trim() {
      malloc?.trim(0);
    },
    map(descriptor, bytes) {
      const address: unknown = mmap(null, bytes, protectRead, mapShared, descriptor, 0);
      if (address === null || BigInt.asIntN(64, koffi.address(address)) === -1n) throw failed("mmap");
      const view = koffi.view(address, bytes);
      return {
        view,
        unmap() {
          if (munmap(address, bytes) !== 0) throw failed("munmap");
        },
      };
    },
  };
}

/**
 * A read lease (fcntl(2), F_SETLEASE) is granted only while the file is not open for writing. A process that opens it
 * for writing at this moment makes the kernel send a signal to the holder, so it is set to one that is ignored.
 */
function leaseProbe(koffi: Koffi, libc: Library): NonNullable<Native["hasWriter"]> {
  const fcntl = libc.func("int fcntl(int fd, int command, ...)");
  const { EAGAIN } = koffi.os.errno as Errno;
  const [setSignal, setLease, readLease, noLease, ignoredSignal] = [10, 1024, 0, 2, 23];
  return (descriptor) => {
    if (fcntl(descriptor, setSignal, "int", ignoredSignal) !== 0) return undefined;
    if (fcntl(descriptor, setLease, "int", readLease) !== 0) {
      return koffi.errno() === EAGAIN ? true : undefined;
    }
    fcntl(descriptor, setLease, "int", noLease);
    return false;
  };
}

/** A refusal is ignored: then the read itself waits for the disk. */
function readAhead(libc: Library): NonNullable<Native["willRead"]> {
  const advise = libc.func("int posix_fadvise(int fd, int64 offset, int64 length, int advice)");
  const willNeed = 3;
  return (descriptor, position, bytes) => {
    advise(descriptor, position, bytes, willNeed);
  };
}

/** M_MMAP_THRESHOLD of glibc. */
const mallocMapThreshold = -3;

interface Malloc {
  mallopt(setting: number, value: number): number;
  trim(padBytes: number): number;
}

/** Of glibc alone; other libraries return memory in ways of their own. */
function glibcMalloc(libc: Library): Malloc | undefined {
  try {
    const mallopt = libc.func("int mallopt(int param, int value)");
    const trim = libc.func("int malloc_trim(size_t pad)");
    return { mallopt: (setting, value) => mallopt(setting, value), trim: (padBytes) => trim(padBytes) };
  } catch {
    return undefined;
  }
}
