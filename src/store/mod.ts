/** The exports of the module. Other modules import from here only. */
export { checkRoomForStore, openLmdbStore } from "./lmdb-store.ts";
export type { StableStore } from "./stable-store.ts";
