/** What a page of another origin tries: requests with and without credentials and a preflight, forms, an image. */

const paths = [
  "/",
  "/logs/orders",
  "/logs/new?create",
  "/v1/stream/orders",
  "/log.v1.Log/Produce",
  "/tickets",
];

/**
 * Source text for a page: tries everything at the node, and resolves to what it could read. `more` are further paths for POST. A form waits for
 * its page, so none of them may be answered with 204.
 */
export const attempts = (node: string, more: readonly string[] = []): string => `(async () => {
  const read = [];
  const ask = async (path, options) => {
    try {
      const response = await fetch("${node}" + path, options);
      if (response.type !== "opaque") read.push(options.method + " " + path + " " + response.status);
    } catch {}
  };
  for (const credentials of ["omit", "include"]) {
    for (const path of ${JSON.stringify([...paths, ...more])})
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json"])
        for (const mode of ["no-cors", "cors"])
          await ask(path, { method: "POST", mode, credentials, headers: { "content-type": type }, body: '{"record":{"value":"eA=="}}' });
    for (const path of ["/?offset=0", "/logs", "/logs/orders?offset=0", "/v1/stream/orders"])
      await ask(path, { method: "GET", mode: "cors", credentials });
    for (const [method, path] of [["PUT", "/logs/new"], ["DELETE", "/logs/orders"], ["PATCH", "/logs/orders"]])
      await ask(path, { method, mode: "cors", credentials, body: method === "DELETE" ? undefined : '{"max_bytes":1}' });
  }
  for (const path of ${JSON.stringify([...paths, ...more])}) {
    const frame = Object.assign(document.createElement("iframe"), { name: "f" });
    document.body.append(frame);
    const form = Object.assign(document.createElement("form"), { method: "POST", enctype: "text/plain", action: "${node}" + path, target: "f" });
    form.append(Object.assign(document.createElement("input"), { name: '{"record":{"value":"eA=="},"x":"', value: '"}' }));
    document.body.append(form);
    const loaded = new Promise((done) => { frame.onload = done; });
    form.submit();
    await loaded;
    frame.remove();
  }
  const image = new Image();
  const shown = new Promise((done) => { image.onload = () => done(true); image.onerror = () => done(false); });
  image.src = "${node}/logs/orders?offset=0";
  if (await shown) read.push("image");
  return read;
})()`;
