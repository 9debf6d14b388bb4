// Loaded into the daemon by NODE_OPTIONS=--import: its DNS thread dies as soon as a file says how.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { isMainThread, workerData } from "node:worker_threads";

const { PORTREEVE_TEST_DEATH: file = "" } = process.env;

if (!isMainThread && workerData?.upstreams !== undefined) {
  setInterval(() => {
    if (!existsSync(file)) return;
    const how = readFileSync(file, "utf8");
    rmSync(file);
    if (how === "exit") process.exit(3); // of a thread: it ends, and nothing else
    throw new Error("a death that a test wanted");
  }, 5).unref();
}
