/**
 * Lists words that a reader outside the project has to guess: literary English, personification, the project's private
 * terms, and British spelling. It advises: the exit code is 0 whatever it finds.
 *
 *   npm run words                       counts for each module, and for each word
 *   npm run words -- src/raft README    every place in files whose path contains one of these
 *   npm run words -- --all              every place
 *   npm run words -- --word=told        every place of one word
 *
 * Four kinds of text: comments, strings (help, errors, log lines, test titles), documents (Markdown) and names
 * (identifiers and file names; a name counts once for each file).
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** [group, pattern, what to write instead]; a pattern without spaces is also looked for in names. */
const words = [
  ["literary", "whoever|whomever|whosoever", "the client that …"],
  ["literary", "whom", "name the subject"],
  ["literary", "whose (?:word|turn|say)", "name the owner"],
  ["literary", "anew", "again"],
  ["literary", "nobody", "no client, no node"],
  ["literary", "somebody|someone", "a client, a node, another process"],
  ["literary", "anybody|anyone|everybody|everyone", "any client, every node"],
  ["literary", "likewise", "also"],
  ["literary", "perhaps", "may"],
  ["literary", "told", "sent, reported, received"],
  ["literary", "(?:that|which|what|it) is none", "has no …"],
  ["literary", "as none", "like a missing …"],
  ["literary", "what (?:it|they|he) ha[sd](?: said)?(?:,| is| are)", "name what it has"],
  ["literary", "for good", "permanently"],
  ["literary", "for ever", "forever"],
  ["literary", "once and for all", "once"],
  [
    "literary",
    "by and by|ere|lest|whence|thence|hitherto|thereof|hereby|thereby|therein|amid|alas",
    "plain English",
  ],
  ["literary", "no(?:thing|body)? but", "only"],
  ["literary", "alike", "in the same way"],
  ["literary", "and be it|be it|come what may|in vain|must needs|not so much as", "plain English"],
  ["literary", "one and all|all the same|as it were|so to speak", "plain English"],
  ["literary", "weather|a crack|misfortunes?|strangers?|deeds?", "name the event"],

  ["person", "hears?|heard|hearing", "receives, received"],
  ["person", "speaks?|spoke|spoken", "uses, supports"],
  ["person", "believes?|believed|believing", "assumes"],
  ["person", "remembers?|remembered", "stores, caches"],
  ["person", "forgets?|forgotten|forgot", "deletes, drops"],
  ["person", "obeys?|obeyed", "applies, follows"],
  ["person", "judges?|judged", "checks, decides"],
  ["person", "wishes|wants?|wanted|likes", "requests, needs"],
  ["person", "knows? (?:nothing|no|of no)", "has no"],
  ["person", "goes away|went away|gone away", "disconnects"],
  ["person", "lets? (?:in|go)|let in", "accepts, releases"],

  ["dialect", "rooms?", "module"],
  ["dialect", "express", "fast path"],
  ["dialect", "lanes?", "fast path, or what it is"],
  ["dialect", "doors?", "route, method permissions"],
  ["dialect", "callers? (?:went away|goes away|is gone|has gone|left)", "client disconnected"],
  ["dialect", "upkeep", "maintenance"],
  ["dialect", "founding|founders?|founded|founds", "bootstrap"],
  ["dialect", "beginnings?", "start, log prefix"],
  ["dialect", "strays?", "unrouted request"],
  ["dialect", "held", "buffered, reserved, kept"],
  ["dialect", "rumou?rs?", "broadcast, update"],
  ["dialect", "desks?", "tracker, queue"],
  ["dialect", "visits?|visitors?|visited", "probe"],
  ["dialect", "sniff(?:s|ed|ing)?", "detect the protocol"],
  ["dialect", "slabs?", "pooled buffer"],
  ["dialect", "rims?", "I/O adapter"],
  ["dialect", "ground floor", "base modules"],
  ["dialect", "laws? of the house|house rules?", "rules of the source"],
  ["dialect", "last words?", "final message, send and close"],
  ["dialect", "the book(?:'s)?|chapters? (?:one|two|[0-9]+)", "name the source"],
  ["dialect", "INTERFACE", "name the source"],
  ["dialect", "[Nn]ever:", "state the contract, or delete the line"],
  ["dialect", "boot ?books?", "boot record"],
  ["dialect", "unheard|unasked|unsaid|begotten|outliv(?:e|es|ed)", "plain English"],

  ["british", "\\w*(?:avi|col|hon|neighb|fav|hum|lab|rum)our\\w*", "-or"],
  ["british", "\\w+(?:gnis|alis|oris|imis|rdis|ronis|tilis|ilis|eris)(?:e|es|ed|ing|ation|er)", "-ize"],
  [
    "british",
    "licen[c]e[sd]?|defence|offence|centre[sd]?|metres?|grey|whilst|amongst|artefacts?|judgement",
    "American",
  ],
].map(([group, pattern, instead]) => ({
  group,
  instead,
  text: new RegExp(`(?<![\\w-])(?:${pattern})(?!\\w)`, pattern.includes("INTERFACE") ? "g" : "gi"),
  name: pattern.includes(" ") || pattern.includes(":") ? undefined : new RegExp(`^(?:${pattern})$`, "i"),
}));

const own = "test/words.mjs";
/** Words of the platform's own names, and of protocols. */
const names = new Set(["Express", "express"]);
// Generated files, recordings, and the protos of Google and gRPC are not our text.
const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => /\.(ts|tsx|mjs|cjs|js|proto|css|py|md)$/.test(file))
  .filter(
    (file) => file !== own && !/^src\/gen\/|^proto\/g|^test\/transcript\/data\/|^web\/dist\//.test(file),
  )
  .sort();

const args = process.argv.slice(2);
const onlyWord = args
  .find((arg) => arg.startsWith("--word="))
  ?.slice("--word=".length)
  .toLowerCase();
const paths = args.filter((arg) => !arg.startsWith("--"));
const listed = args.includes("--all") || onlyWord !== undefined || paths.length > 0;

const lines = new Map();
const hits = [];
for (const file of files) {
  if (paths.length > 0 && !paths.some((path) => file.includes(path))) continue;
  for (const piece of piecesOf(file, readFileSync(join(root, file), "utf8"))) find(file, piece);
}
if (listed) list();
if (onlyWord === undefined) count();

/** Yields the text of a file as { kind, line, text }. */
function* piecesOf(file, source) {
  yield { kind: "name", line: 1, text: basename(file) };
  if (file.endsWith(".md")) {
    yield* byLine("document", source, 1);
  } else if (/\.(proto|css|py)$/.test(file)) {
    const comments = file.endsWith(".py")
      ? /"""[\s\S]*?"""|"[^"\n]*"|'[^'\n]*'|#.*/g
      : /"(?:\\.|[^"\\\n])*"|\/\*[\s\S]*?\*\/|\/\/.*/g;
    for (const { 0: text, index } of source.matchAll(comments))
      if (/^(\/[*/]|#|""")/.test(text)) yield* byLine("comment", text, lineAt(source, index));
  } else {
    yield* parsed(file, source);
  }
}

/** The comments, strings and names of a file of JavaScript or TypeScript. */
function* parsed(file, source) {
  const { program, comments, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  for (const { value, start } of comments) yield* byLine("comment", value, lineAt(source, start));
  const pieces = [];
  const seen = new Set();
  const string = (start, text) => pieces.push({ kind: "string", line: lineAt(source, start), text });
  const name = ({ start, name: text }) => {
    if (seen.has(text)) return;
    seen.add(text);
    pieces.push({ kind: "name", line: lineAt(source, start), text });
  };
  new Visitor({
    Literal: ({ start, value }) => typeof value === "string" && /\s/.test(value) && string(start, value),
    TemplateElement: ({ start, value }) => string(start, value.cooked ?? value.raw),
    JSXText: ({ start, value }) => string(start, value),
    Identifier: name,
    PrivateIdentifier: name,
  }).visit(program);
  yield* pieces;
}

function* byLine(kind, text, first) {
  for (const [at, line] of text.split("\n").entries()) yield { kind, line: first + at, text: line };
}

function lineAt(source, index) {
  let line = 1;
  for (let at = source.indexOf("\n"); at !== -1 && at < index; at = source.indexOf("\n", at + 1)) line++;
  return line;
}

function find(file, { kind, line, text }) {
  if (/biome-ignore/.test(text)) return;
  if (/\w/.test(text)) {
    const key = `${moduleOf(file)} ${kind}`;
    lines.set(key, (lines.get(key) ?? 0) + 1);
  }
  for (const { group, instead, text: pattern, name } of words) {
    if (kind === "name") {
      if (name === undefined || names.has(text)) continue;
      const parts = text.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? [];
      const found = parts.find((part) => name.test(part));
      if (found !== undefined) add(found, text);
    } else {
      for (const [found] of text.matchAll(pattern)) add(found, text.replace(/^[\s*]+/, ""));
    }
    function add(found, shown) {
      hits.push({
        file,
        module: moduleOf(file),
        kind,
        line,
        group,
        instead,
        word: found.toLowerCase(),
        shown,
      });
    }
  }
}

/** src/raft/core/log.ts → src/raft; README.md → documents at the root. */
function moduleOf(file) {
  const [top, second, third] = file.split("/");
  if (second === undefined) return "(root)";
  return (top === "src" || top === "test") && third !== undefined ? `${top}/${second}` : top;
}

function list() {
  for (const { file, line, kind, word, instead, shown } of hits)
    if (onlyWord === undefined || word === onlyWord)
      console.log(`${file}:${line}: ${kind} "${word}" → ${instead}\n    ${shown.slice(0, 140)}`);
}

function count() {
  const modules = [...new Set([...lines.keys()].map((key) => key.split(" ")[0]))].sort();
  const table = (name, isIn) => {
    const at = (kind) => hits.filter((hit) => isIn(hit.module) && hit.kind === kind);
    const sum = (kind) =>
      [...lines]
        .filter(([key]) => isIn(key.split(" ")[0]) && key.endsWith(` ${kind}`))
        .reduce((a, [, n]) => a + n, 0);
    const comments = sum("comment");
    const per = (group) => {
      const n = at("comment").filter((hit) => group === undefined || hit.group === group).length;
      return comments === 0 ? "–" : ((n * 1000) / comments).toFixed(1);
    };
    const documents = sum("document");
    return {
      module: name,
      "comment lines": comments,
      "per 1,000": per(),
      literary: per("literary"),
      person: per("person"),
      dialect: per("dialect"),
      british: per("british"),
      strings: at("string").length,
      names: at("name").length,
      "document lines": documents,
      "in documents": at("document").length,
    };
  };
  const rows = modules.map((name) => table(name, (module) => module === name));
  rows.push(table("all", () => true));
  print(rows);
  const byWord = Map.groupBy(hits, ({ word }) => word);
  const most = [...byWord].sort((a, b) => b[1].length - a[1].length);
  const of = (found, kind) => found.filter((hit) => hit.kind === kind).length;
  print(
    most.slice(0, 60).map(([word, found]) => ({
      word,
      comments: of(found, "comment"),
      strings: of(found, "string"),
      names: of(found, "name"),
      documents: of(found, "document"),
      instead: found[0].instead,
    })),
  );
}

/** Prints rows with equal keys as a Markdown table. */
function print(rows) {
  const [first] = rows;
  if (first === undefined) return;
  const heads = Object.keys(first);
  const width = (head) => Math.max(...rows.map((row) => String(row[head]).length), head.length);
  const line = (cell) => `| ${heads.map((head) => cell(head).padEnd(width(head))).join(" | ")} |`;
  console.log(`\n${line((head) => head)}\n${line((head) => "-".repeat(width(head)))}`);
  for (const row of rows) console.log(line((head) => String(row[head])));
}
