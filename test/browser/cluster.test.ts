/** The dashboard on a cluster of three real nodes, which are killed while the page tails. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { type ClusterNode, TestCluster } from "../support/process/cluster.ts";
import { scratch } from "../support/scratch.ts";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { curl, produce, randomWord } from "./support/producer.ts";

let browser: Browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

const openPage = (
  cluster: TestCluster,
  node: ClusterNode,
  query: string,
  context: BrowserContextOptions = {},
): Promise<Dashboard> =>
  Dashboard.open(browser, node.url, query, { ...context, others: cluster.nodes.map(({ url }) => url) });

/** Converts the certificate flags of the command to those of curl. */
const curlFlags = (cluster: TestCluster, node: ClusterNode): string[] =>
  cluster
    .clientFlags(node)
    .slice(2)
    .map((flag) => flag.replace(/^--tls-ca-file$/, "--cacert").replace(/^--tls-(cert|key)-file$/, "--$1"));

const heldAtLeast = (page: Dashboard, count: number): Promise<void> =>
  page.until(
    `Number(document.querySelector('[data-testid=held]').textContent.split(" ")[0].replaceAll(",", "")) > ${count}`,
  );

test("killing the leader, and then the page's own node, leaves no gap and no duplicate on the page", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const leader = await cluster.leader();
  const [own, other] = (await cluster.followers()) as [ClusterNode, ClusterNode];
  await using page = await openPage(cluster, own, "?from=end");
  await page.status("Live");
  const first = await curl(own.url, randomWord());
  await page.row(first).waitFor();
  await using clusterPage = await openPage(cluster, own, "?view=cluster");
  await clusterPage.text(`${leader.name} leads`);

  const producing = produce(other.url, 1500, 250);
  await heldAtLeast(page, 100);
  await cluster.stop(leader, "SIGKILL");
  const next = await cluster.leader();
  await clusterPage.text(`${next.name} was elected`);
  await heldAtLeast(page, 600);
  cluster.start(leader);
  await cluster.whole();
  await cluster.stop(own, "SIGKILL");
  await page.page.getByText(await producing).waitFor();
  await page.status("Live");
  assert.ok((await page.scrollBackTo(first)) >= 1501);
  assert.equal(await page.page.getByText(/The server skipped/).count(), 0);
});

test("over mTLS the page continues after the leader is killed, shows a lost quorum, and continues when it is restored", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t), { tls: true });
  const leader = await cluster.leader();
  const [own, other] = (await cluster.followers()) as [ClusterNode, ClusterNode];
  const append = (): Promise<number> => curl(own.url, randomWord(), ...curlFlags(cluster, own));
  const { cert, key } = cluster.client!;
  await using page = await openPage(cluster, own, "?from=end", {
    ignoreHTTPSErrors: true,
    clientCertificates: [{ origin: own.url, cert: Buffer.from(cert), key: Buffer.from(key) }],
  });
  await page.status("Live");
  const first = await append();
  await page.row(first).waitFor();
  await cluster.stop(leader, "SIGKILL");
  await cluster.leader();
  assert.equal(await append(), first + 1);
  await page.row(first + 1).waitFor();

  await cluster.stop(other, "SIGKILL");
  await page.text("Quorum is lost");
  await page.row(first + 1).waitFor();
  cluster.start(leader);
  cluster.start(other);
  await cluster.whole();
  assert.equal(await append(), first + 2);
  await page.row(first + 2).waitFor();
  await page.page.getByText("Quorum is lost").waitFor({ state: "detached" });
  assert.equal(await page.scrollBackTo(first), 3);
});
