/** Named logs of a node whose descriptions a test controls: a node that lags, and changes beside a request. */
import type { Freshness, LogCatalog, LogInfo, LogRef, NamedCommitLog } from "../../../src/types.ts";

/** `stale` answers what is asked without the leader. `before` and `after` run around each description. */
export interface Shown {
  stale?: LogInfo | undefined;
  before?: ((mode: Freshness["mode"]) => Promise<void>) | undefined;
  after?: (() => Promise<void>) | undefined;
}

export function shownBy(named: LogCatalog, shown: Shown): LogCatalog {
  const open = (ref: LogRef): NamedCommitLog => {
    const log = named.open(ref);
    const describe = log.info.bind(log);
    const info = async (freshness: Freshness = {}): Promise<LogInfo> => {
      const { stale } = shown;
      const isStale = stale !== undefined && (ref.id === undefined || ref.id === stale.id);
      if (isStale && freshness.mode !== "linearizable") return stale;
      await shown.before?.(freshness.mode);
      const found = await describe(freshness);
      await shown.after?.();
      return found;
    };
    return Object.assign(log, { info });
  };
  return new Proxy(named, {
    get(target, key) {
      if (key === "open") return open;
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Deletes the log and creates it again, once, after the next description. */
export function replaceAfterInfo(named: LogCatalog, shown: Shown, name: string): void {
  shown.after = async () => {
    shown.after = undefined;
    await named.change({ kind: "delete", log: { name } });
    await named.change({ kind: "create", name, settings: { contentType: "text/plain" } });
  };
}
