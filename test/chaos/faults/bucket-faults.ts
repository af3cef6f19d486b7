/** Faults of the bucket: requests of backups fail, are slow, or lose their answers. */
import type { Trouble } from "../../support/objects/faulty-proxy.ts";
import { type Fault, type FaultTable, lasting, type Scene } from "./fault.ts";

const troubled =
  (share: number, trouble: (scene: Scene) => Trouble): Fault =>
  async (scene) => {
    const { bucket, chance } = scene;
    if (bucket === undefined) return undefined;
    const { length: before } = bucket.seen;
    bucket.trouble = () => (chance.chance(share) ? trouble(scene) : undefined);
    await lasting(scene, 1_000, 12_000);
    bucket.trouble = () => undefined;
    const requests = bucket.seen.length - before;
    // Backups need time without faults, too.
    await lasting(scene, 3_000, 10_000);
    return `${requests} requests meanwhile`;
  };

const refused = (): Trouble => ({ kind: "status", status: 503, code: "SlowDown" });
const broken = ({ chance }: Scene): Trouble =>
  chance.pick<Trouble>([
    { kind: "cut" },
    { kind: "lost-answer" },
    { kind: "cut-answer" },
    { kind: "damage" },
    { kind: "status", status: 500, code: "InternalError" },
  ]);
const slow = ({ chance }: Scene): Trouble => ({ kind: "slow", ms: chance.between(50, 1_500) });

export const bucketFaults: FaultTable = {
  "bucket down": [2, troubled(1, refused)],
  "bucket broken": [4, troubled(0.4, broken)],
  "bucket slow": [2, troubled(0.7, slow)],
};
