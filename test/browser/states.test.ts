import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { Code } from "@connectrpc/connect";
import type { Browser } from "playwright-core";
import { openBrowser } from "./support/chromium.ts";
import { Dashboard } from "./support/dashboard.ts";
import { FakeNode, fault } from "./support/fake-node.ts";

let browser: Browser;
let node: FakeNode;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());
beforeEach(async () => {
  node = new FakeNode();
  await node.start();
});
afterEach(() => node.stop());

const values = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `{"at":${at},"token":"${Math.random().toString(36).slice(2)}"}`);

test("an empty log shows the command that appends the first record, and then that record", async () => {
  await using page = await Dashboard.open(browser, node.origin);
  await page.text("The log is empty");
  await page.text(`curl -d '{"record":{"value":"SGVsbG8sIFRhaWxyYWNlIQ=="}}' ${node.origin}/`);
  await page.pictured("empty");
  node.append("first");
  await page.row(0).getByText("first").waitFor();
  page.assertClean();
});

test("at the end of a log the page names the offset that it waits for", async () => {
  node.append(...values(5));
  await using page = await Dashboard.open(browser, node.origin, "?from=end");
  await page.text("Waiting for record 5");
  await page.pictured("waiting");
  node.append("news");
  await page.row(5).getByText("news").waitFor();
  assert.deepEqual(await page.offsets(), [5]);
});

test("a client without the consume permission sees its subject and its permissions", async () => {
  node.subject = "nobody";
  node.actions = ["produce"];
  await using page = await Dashboard.open(browser, node.origin);
  await page.text("You may not read this log");
  assert.equal(await page.page.getByTestId("subject").textContent(), "nobody");
  await page.text(/only produce/);
  await page.pictured("denied");
  await page.page.getByRole("button", { name: "Cluster" }).click();
  await page.text("You may not see the cluster");
  await page.pictured("denied-cluster");
  node.actions = ["consume", "describe"];
  node.append("now you may");
  await page.page.getByRole("button", { name: "Tail" }).click();
  await page.page.getByRole("alert").getByRole("button", { name: "Try again" }).click();
  await page.text("now you may");
  await page.page.getByRole("button", { name: "Produce" }).waitFor({ state: "detached" });
  page.assertClean();
});

test("a client without the produce permission sees no produce box", async () => {
  node.actions = ["consume", "describe"];
  node.append("x");
  await using page = await Dashboard.open(browser, node.origin);
  await page.row(0).waitFor();
  await page.text("local");
  await page.page.getByRole("button", { name: "Produce" }).waitFor({ state: "detached" });
  await page.page.keyboard.press("p");
  assert.equal(await page.page.getByRole("complementary").count(), 0);
});

test("a lost quorum is shown with the number of nodes that respond", async () => {
  node.append(...values(20));
  const silent = { role: "follower", version: "0.1.0", healthy: false, lastContactMs: 9000n };
  node.cluster = {
    nodeId: "node-1",
    leaderId: "",
    term: 7n,
    hasQuorum: false,
    nodes: [
      { id: "node-2", rpcAddr: "127.0.0.1:2", ...silent },
      { id: "node-3", rpcAddr: "127.0.0.1:3", ...silent },
    ],
  };
  await using page = await Dashboard.open(browser, node.origin);
  await page.text("Quorum is lost");
  await page.text(/1 of 3 nodes answer/);
  await page.page.getByRole("button", { name: "Cluster" }).click();
  await page.pictured("quorum-lost");
  node.cluster = { ...node.cluster, leaderId: "node-1", term: 8n, hasQuorum: true };
  await page.text("quorum is back");
  await page.text("node-1 was elected, term 8");
});

test("when records are trimmed before they are read, the page names them and continues on request", async () => {
  node.append(...values(30));
  await using page = await Dashboard.open(browser, node.origin);
  await page.row(29).waitFor();
  await node.stop();
  node.append(...values(70));
  node.lowest = 60;
  await node.start();
  await page.text("The log was trimmed under this tail");
  await page.text("Records 30–59 were removed before they were read here.");
  assert.ok((await page.offsets()).includes(29), "records that were read stay on the page");
  await page.pictured("trimmed");
  await page.page.getByRole("button", { name: "Read on at 60" }).click();
  await page.row(60).waitFor();
  page.assertClean();
});

test("a log that ends before the current position counts as another log", async () => {
  node.append(...values(30));
  await using page = await Dashboard.open(browser, node.origin);
  await page.row(29).waitFor();
  await node.stop();
  node.records.length = 0;
  node.append(...values(3), "another log");
  await node.start();
  await page.text("The log ends before this place");
  await page.pictured("beyond");
  await page.page.getByRole("button", { name: "Go to its end" }).click();
  await page.row(3).getByText("another log").waitFor();
});

test("an error is shown with the message and code of the server", async () => {
  node.refusal = fault(Code.Unimplemented, "this server is too old for that", {});
  await using page = await Dashboard.open(browser, node.origin);
  await page.text("The node refused");
  await page.text(/too old for that.*unimplemented/s);
  await page.pictured("refused");
});

test("when the only node is down the page shows it, and continues without gap or duplicate when it is back", async () => {
  node.append(...values(10));
  await using page = await Dashboard.open(browser, node.origin);
  await page.row(9).waitFor();
  await node.stop();
  await page.status(/Reconnecting/);
  await page.text("No node answers");
  await page.pictured("gone");
  node.append(...values(10));
  await node.start();
  // The page may find the node by itself before the click. Then the button is gone.
  const tried = page.page.getByRole("button", { name: "Try now" }).click();
  await Promise.race([tried.catch(() => undefined), page.status("Live")]);
  await page.status("Live");
  await page.row(19).waitFor();
  assert.deepEqual(
    await page.offsets(),
    Array.from({ length: 20 }, (_, at) => at),
  );
  assert.equal(await page.page.getByText("No node answers").count(), 0);
});

test("when this node is down the tail continues from another node of the cluster", async () => {
  const other = new FakeNode();
  await other.start();
  try {
    const first = values(10);
    node.peers = [other.address];
    node.append(...first);
    other.append(...first, ...values(10));
    await using page = await Dashboard.open(browser, node.origin, "", { others: [other.origin] });
    await page.row(9).waitFor();
    await page.called("GetServers");
    await node.stop();
    await page.row(19).waitFor();
    await page.status("Live");
    assert.deepEqual(
      await page.offsets(),
      Array.from({ length: 20 }, (_, at) => at),
    );
    page.assertClean();
  } finally {
    await other.stop();
  }
});

test("when no node can be called, a link opens the same tail on another node", async () => {
  const other = new FakeNode();
  await other.start();
  await other.stop();
  try {
    const first = values(300);
    node.peers = [other.address];
    node.append(...first);
    await using page = await Dashboard.open(browser, node.origin, "?q=token", { others: [other.origin] });
    await page.row(299).waitFor();
    await page.called("GetServers");
    await node.stop();
    const link = page.page.getByRole("link", { name: `Open on ${other.address}` });
    await link.waitFor();
    assert.equal(await link.getAttribute("href"), `${other.origin}/ui/?from=100&live=1&q=token`);
    // In plaintext the streams would now find the other node. Over mTLS they may not (see web/DESIGN.md).
    await page.page.route("**/log.v1.Log/*", (route) =>
      route.request().frame().url().startsWith(node.origin) ? route.abort() : route.continue(),
    );
    other.append(...first, '{"token":"new"}');
    await other.start();
    await link.click();
    await page.row(300).getByText("new").waitFor();
    await page.status("Live");
    assert.match(page.page.url(), new RegExp(`^${other.origin}/ui/`));
  } finally {
    await other.stop();
  }
});

test("elections and members are shown as they change", async () => {
  node.append(...values(40));
  node.cluster.nodes = [
    {
      id: "node-2",
      rpcAddr: "127.0.0.1:8402",
      role: "follower",
      healthy: true,
      lastContactMs: 12n,
      lag: 3n,
      version: "0.1.0",
    },
  ];
  await using page = await Dashboard.open(browser, node.origin, "?view=cluster");
  await page.text("node-1 leads, term 3");
  node.cluster = { ...node.cluster, leaderId: "node-2", term: 4n };
  await page.text("node-2 was elected, term 4");
  await page.pictured("cluster");
  await page.page.getByRole("button", { name: "Segments" }).click();
  await page.text("active");
  await page.pictured("segments");
  await page.page.getByRole("button", { name: /26 – 39/ }).click();
  await page.row(26).waitFor();
  page.assertClean();
});
