/**
 * A part of a simulated machine, such as its disk, as one process sees it. Work of the process that goes on after its end, in a
 * promise, does nothing any more: its calls throw SimulatedCrash. The disk itself checks that only for open files.
 */
import { type SimDisk, SimulatedCrash } from "./sim-disk.ts";

export function ofProcess<Part extends object>(part: Part, disk: SimDisk): Part {
  const { ends } = disk;
  return new Proxy(part, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        if (disk.ends !== ends)
          throw new SimulatedCrash(`${String(key)}() was called after the end of the process`);
        return value.apply(target, args);
      };
    },
  });
}
