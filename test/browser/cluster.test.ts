/**
 * The page on a cluster of three real nodes, in processes of their own that are killed while it tails.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { type ClusterNode, TestCluster } from "../support/cluster.ts";
import { scratch } from "../support/scratch.ts";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { curl, produce, randomWord } from "./support/producer.ts";

let browser: Browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

const openPage = (cluster: TestCluster, node: ClusterNode, query: string): Promise<Dashboard> =>
  Dashboard.open(browser, node.url, query, { others: cluster.nodes.map(({ url }) => url) });

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
  await using watching = await openPage(cluster, own, "?view=cluster");
  await watching.text(`${leader.name} leads`);

  const producing = produce(other.url, 1500, 250);
  await heldAtLeast(page, 100);
  await cluster.stop(leader, "SIGKILL");
  const next = await cluster.leader();
  await watching.text(`${next.name} was elected`);
  await heldAtLeast(page, 600);
  cluster.start(leader);
  await cluster.whole();
  await cluster.stop(own, "SIGKILL");
  await page.page.getByText(await producing).waitFor();
  await page.status("Live");
  assert.ok((await page.scrollBackTo(first)) >= 1501);
  assert.equal(await page.page.getByText(/The server skipped/).count(), 0);
});

test("when quorum is lost the page says so, shows what is committed, and goes on when it is back", async (t) => {
  const cluster = await TestCluster.open(t, scratch(t));
  const leader = await cluster.leader();
  const followers = await cluster.followers();
  const first = await curl(leader.url, randomWord());
  await using page = await openPage(cluster, leader, "?from=start");
  await page.row(first).waitFor();
  for (const node of followers) await cluster.stop(node, "SIGKILL");
  await page.text("Quorum is lost");
  await page.row(first).waitFor();
  for (const node of followers) cluster.start(node);
  await cluster.whole();
  const word = randomWord();
  const second = await curl(followers[0]!.url, word);
  assert.equal(second, first + 1);
  await page.row(second).getByText(word).waitFor();
  await page.page.getByText("Quorum is lost").waitFor({ state: "detached" });
});
