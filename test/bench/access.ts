/** Access decisions with policies of growing size, cached and not cached. */
import { AccessControl, actions, logObject, namedIdentity } from "../../src/access/mod.ts";
import { median, report } from "./report.ts";

const rounds = 5;
const subjects = Array.from({ length: 100 }, (_, at) => namedIdentity(`subject-${at}`));

/** Returns the checks per second, the median of the rounds. */
function rate(checks: number, check: (at: number) => boolean): number {
  const rates: number[] = [];
  let allowed = 0;
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    for (let at = 0; at < checks; at++) allowed += check(at) ? 1 : 0;
    rates.push((checks / (performance.now() - started)) * 1000);
  }
  if (allowed === 0) throw new Error("no check was allowed");
  return median(rates);
}

export async function run(): Promise<void> {
  for (const rules of [2, 100, 1000]) {
    const policy = Array.from({ length: rules }, (_, at) => `p, subject-${at % 100}, *, ${actions[at % 6]}`);
    const source = { policy: policy.join("\n") };
    const access = await AccessControl.open(source);
    const check = (control: AccessControl, at: number): boolean =>
      control.check(subjects[(at * 37) % 100]!, logObject, actions[at % 6]!);
    report({
      name: `access: a cached decision, ${rules} rules`,
      value: rate(3_000_000, (at) => check(access, at)),
      unit: "checks/s",
      bar: "1,000,000",
    });
    const uncached = await AccessControl.open(source, { cachedPairsMax: 1 });
    report({
      name: `access: a decision that is not cached, ${rules} rules`,
      value: rate(Math.ceil(20_000 / rules) + 180, (at) => check(uncached, at)),
      unit: "checks/s",
    });
  }
}
