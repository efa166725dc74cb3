// Runs one loop through @libsql/client, as ../loops/loops.go does it in Go:
// node loop.mjs http|ws URL KIND CALLERS SECONDS
import { readFileSync } from "node:fs";
import { createClient as createHttp } from "@libsql/client/http";
import { createClient as createWs } from "@libsql/client/ws";

const rows = 1000;
const writers = 8; // see loops.go
const warmUp = 500; // ms
const maxErrors = 100;

const [transport, url, kind, callersArg, secondsArg] = process.argv.slice(2);
const callers = Number(callersArg);
const connections = kind === "select" ? callers : Math.min(callers, writers);
const client =
  transport === "ws"
    ? createWs({ url: url.replace(/^http/, "ws"), concurrency: connections })
    : createHttp({ url, concurrency: connections });

const anyRow = () => 1 + Math.floor(Math.random() * rows);

async function selectOne() {
  const id = anyRow();
  const rs = await client.execute({ sql: "SELECT n, s FROM t WHERE id = ?", args: [id] });
  if (rs.rows.length !== 1 || rs.rows[0].n !== 0 || rs.rows[0].s !== `row ${id}`) {
    throw new Error(`row ${id} is ${JSON.stringify(rs.rows)}`);
  }
}

async function insertOne(caller) {
  const rs = await client.execute({
    sql: "INSERT INTO log (caller, s) VALUES (?, ?)",
    args: [caller, "a line of the log"],
  });
  if (rs.rowsAffected !== 1) {
    throw new Error(`an insert affects ${rs.rowsAffected} rows`);
  }
}

async function updateThree() {
  // "deferred" is the plain BEGIN that the Go peers send.
  const tx = await client.transaction("deferred");
  try {
    for (let i = 0; i < 3; i++) {
      await tx.execute({ sql: "UPDATE t SET n = n + 1 WHERE id = ?", args: [anyRow()] });
    }
    await tx.commit();
  } finally {
    tx.close();
  }
}

const op = { select: selectOne, insert: insertOne, transaction: updateThree }[kind];
const begin = performance.now() + warmUp;
const end = begin + Number(secondsArg) * 1000;
const times = [];
let done = 0;
let errors = 0;
let error;

async function loop(caller) {
  for (;;) {
    const start = performance.now();
    if (start >= end || errors >= maxErrors) {
      return;
    }
    try {
      await op(caller);
    } catch (e) {
      errors++;
      error ??= String(e.message ?? e);
      continue;
    }
    done++;
    if (start >= begin) {
      times.push(performance.now() - start);
    }
  }
}

await Promise.all(Array.from({ length: callers }, (_, caller) => loop(caller)));
const seconds = (performance.now() - begin) / 1000;
times.sort((a, b) => a - b);
client.close();
const p50 = times.length > 0 ? times[Math.floor(times.length / 2)] : 0;
const { version } = JSON.parse(
  readFileSync(new URL("node_modules/@libsql/client/package.json", import.meta.url)),
);
console.log(JSON.stringify({ ops: times.length, seconds, p50, done, errors, error, version }));
