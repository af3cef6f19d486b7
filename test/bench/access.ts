/** Access decisions with policies of growing size: cached, not cached, and the first look at a pair of subject and log. */
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

/** Policies of 100,000 rules: how the rules are spread over subjects, roles, names and prefixes. */
const count = 100_000;
const shapes: readonly {
  readonly title: string;
  readonly line: (at: number) => string;
  readonly subject: (at: number) => string;
  readonly object: (at: number) => string;
}[] = [
  {
    title: "a prefix for each of 100,000 subjects",
    line: (at) => `p, subject-${at}, tenants/${at}/*, produce`,
    subject: (at) => `subject-${at}`,
    object: (at) => `tenants/${at}/orders`,
  },
  {
    title: "100,000 prefixes for one subject",
    line: (at) => `p, subject, tenants/${at}/*, produce`,
    subject: () => "subject",
    object: (at) => `tenants/${at}/orders`,
  },
  {
    title: "100,000 names for one subject",
    line: (at) => `p, subject, tenants/${at}/orders, produce`,
    subject: () => "subject",
    object: (at) => `tenants/${at}/orders`,
  },
  {
    title: "100 roles of 1,000 prefixes for one subject",
    line: (at) => (at < 100 ? `g, subject, role-${at}` : `p, role-${at % 100}, tenants/${at}/*, produce`),
    subject: () => "subject",
    object: (at) => `tenants/${Math.max(at, 100)}/orders-${at}`,
  },
  {
    title: "10,000 subjects with 9 roles each",
    line: (at) =>
      at % 10 === 9
        ? `p, role-${at % 1000}, tenants/${at}/*, produce`
        : `g, subject-${Math.floor(at / 10)}, role-${at % 1000}`,
    subject: (at) => `subject-${Math.floor(at / 10)}`,
    object: (at) => `tenants/${at}/orders`,
  },
  {
    title: "250 prefixes of a name, each for 400 subjects",
    line: (at) => `p, subject-${at % 400}, ${"x".repeat(1 + Math.floor(at / 400))}*, produce`,
    subject: (at) => `subject-${at % 400}`,
    object: (at) => `${"x".repeat(250)}${at}`,
  },
];

/** Decides pairs that were not decided before, each once, and prints the mean processor time. */
async function firstLooks(): Promise<void> {
  const looks = 5_000;
  for (const { title, line, subject, object } of shapes) {
    const policy = Array.from({ length: count }, (_, at) => line(at)).join("\n");
    const access = await AccessControl.open({ policy });
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const pairs = Array.from({ length: looks }, (_, nth) => {
        const at = ((round * looks + nth) * 37) % count;
        return { caller: namedIdentity(subject(at)), log: object(at) };
      });
      const started = process.cpuUsage();
      for (const { caller, log } of pairs) access.check(caller, log, "produce");
      const { user, system } = process.cpuUsage(started);
      times.push((user + system) / looks);
    }
    report({ name: `access: first look, ${title}`, value: median(times), unit: "µs", bar: "at most 20" });
  }
}

export async function run(): Promise<void> {
  await firstLooks();
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
