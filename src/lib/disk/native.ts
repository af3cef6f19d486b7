/**
 * The few calls of the C library that Node does not offer, through koffi: flock, fallocate, mmap, fcntl, malloc. A rim.
 * Where koffi cannot load (another libc, another system), native() is undefined and each user has its other way.
 *
 * Never: is needed for correctness; only for a better lock, a cheaper reservation and a smaller heap.
 */
import { createRequire } from "node:module";
import { getSystemErrorName } from "node:util";

export interface Native {
  /** True when the lock was taken, false when another process holds it. Throws an error with `code` else. */
  lock(descriptor: number): boolean;
  /** True when the blocks were allocated; false where the file system cannot. ENOSPC is thrown. */
  allocate(descriptor: number, bytes: number): boolean;
  /**
   * Does a process have the file open for writing? `descriptor` is open for reading. Undefined where the system does not
   * tell: it tells on Linux, for files of the process's own user, on most file systems. Absent on other systems.
   */
  hasWriter?(descriptor: number): boolean | undefined;
  /** Maps a file read-only. The view must not be touched after unmap(). */
  map(descriptor: number, bytes: number): { readonly view: ArrayBuffer; unmap(): void };
  /** Makes malloc map each block of at least so many bytes by itself, so that it goes back to the system when freed. */
  mapBlocksFrom(bytes: number): void;
  /** Gives memory that malloc keeps for later back to the system. */
  trim(): void;
}

let loaded: Native | undefined;
let tried = false;

/** The native calls, loaded at first use, or undefined where there are none. */
export function native(): Native | undefined {
  if (!tried) {
    tried = true;
    try {
      loaded = load();
    } catch {
      loaded = undefined; // a system without this libc or this binary: every user has a fallback
    }
  }
  return loaded;
}

function load(): Native {
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi");
  const libc = koffi.load(process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6");
  const flock = libc.func("int flock(int fd, int operation)");
  const fallocate =
    process.platform === "linux" ? libc.func("int fallocate(int, int, int64, int64)") : undefined;
  const mmap = libc.func("void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64 offset)");
  const munmap = libc.func("int munmap(void *addr, size_t length)");
  const fcntl = libc.func("int fcntl(int fd, int command, ...)");
  const malloc = process.platform === "linux" ? glibcMalloc(libc) : undefined;
  const { EAGAIN, ENOSPC, EINTR } = koffi.os.errno as Record<string, number>;
  const failed = (call: string): Error => {
    const errno = koffi.errno();
    return Object.assign(new Error(`${call} failed with errno ${errno}`), {
      code: getSystemErrorName(-errno),
    });
  };
  const lockExclusiveNow = 2 | 4;
  const protectRead = 1;
  const mapShared = 1;
  /**
   * A read lease (fcntl(2), F_SETLEASE) is granted only while the file is not open for writing. A process that opens it
   * for writing at this moment makes the kernel send a signal to the holder, so it is set to one that is ignored.
   */
  const hasWriter = (descriptor: number): boolean | undefined => {
    const [setSignal, setLease, readLease, noLease, ignoredSignal] = [10, 1024, 0, 2, 23];
    if (fcntl(descriptor, setSignal, "int", ignoredSignal) !== 0) return undefined;
    if (fcntl(descriptor, setLease, "int", readLease) !== 0) {
      return koffi.errno() === EAGAIN ? true : undefined;
    }
    fcntl(descriptor, setLease, "int", noLease);
    return false;
  };
  return {
    ...(process.platform === "linux" ? { hasWriter } : {}),
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

/** M_MMAP_THRESHOLD of glibc. */
const mallocMapThreshold = -3;

interface Malloc {
  mallopt(setting: number, value: number): number;
  trim(padBytes: number): number;
}

/** Of glibc alone; other libraries return memory in ways of their own. */
function glibcMalloc(libc: ReturnType<typeof import("koffi").load>): Malloc | undefined {
  try {
    const mallopt = libc.func("int mallopt(int param, int value)");
    const trim = libc.func("int malloc_trim(size_t pad)");
    return { mallopt: (setting, value) => mallopt(setting, value), trim: (padBytes) => trim(padBytes) };
  } catch {
    return undefined;
  }
}
