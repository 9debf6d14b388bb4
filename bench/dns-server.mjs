// Our DNS worker alone, with as many names as it is told, on the loopback of the namespace it is started in.
import { Worker } from "node:worker_threads";

const [address = "127.0.0.1", port = "5300", names = "1000", upstream = ""] = process.argv.slice(2);
const upstreams = upstream === "" ? "system" : [upstream];
const worker = new Worker(new URL("../dist/adapters/dns-server/thread/worker.js", import.meta.url), {
  workerData: { upstreams, rebindingAllow: ["bench.example"] },
});
worker.on("error", (error) => {
  throw error;
});

const view = { kind: "view", id: "bench", interface: "lo", prefixes: ["127.0.0.0/8"], zone: "bench.example" };
const set = [
  { ...view, upstreams: { mode: "system" }, unsignedUpdates: false },
  ...(Number(names) > 0 ? [{ kind: "zone", apex: "bench.example", views: null }] : []),
  { kind: "serial", serial: 1 },
  ...Array.from({ length: Number(names) }, (_, index) => ({
    kind: "name",
    name: `n${index}.bench.example`,
    views: null,
    records: [{ type: "A", ttl: 300, value: `10.59.${index >> 8}.${index & 255}` }],
  })),
];
const listener = { view: "bench", interface: "lo", address, port: Number(port), ifindex: 1 };

worker.on("message", (message) => {
  if (message.kind === "applied") worker.postMessage([{ kind: "listen", id: 2, listeners: [listener] }], []);
  if (message.kind !== "listening") return;
  if (message.faults.length > 0) throw new Error(message.faults[0].message);
  process.stdout.write("ready\n");
});
worker.postMessage([{ kind: "rows", id: 1, set, remove: [] }], []);
