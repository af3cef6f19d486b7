/** The store on the machine's disk. */
import { openRowStore } from "../../../../src/rows/mod.ts";
import { rowStoreSuite } from "../../../support/rows/row-store-suite.ts";
import { scratch } from "../../../support/scratch.ts";

rowStoreSuite("on the disk", (t) => {
  const directory = scratch(t);
  return { store: openRowStore(directory), path: (name) => `${directory}/${name}.rows` };
});
