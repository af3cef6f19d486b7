/** The stable store: what of a node must survive every crash, besides its log. See README.md. */
export { openStableStore } from "./directory-store.ts";
export { openToRepair } from "./salvage-store.ts";
export { asOfDisk, resultCode } from "./sqlite-error.ts";
export { findWalDamage } from "./sqlite-wal.ts";
export { bootKey, type StableStore, voteKey } from "./stable-store.ts";
export { hasStore } from "./store-files.ts";
export { checkSpaceForStore } from "./store-space.ts";
