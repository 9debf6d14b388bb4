// New TLS connections to a name, so many under way, for some seconds: "address port name inFlight seconds" in, JSON out.
import { connect } from "node:tls";
import { createSecureContext } from "node:tls";

const [, , host = "", port = "0", servername = "", inFlight = "32", seconds = "1"] = process.argv;
const secureContext = createSecureContext();
const end = performance.now() + Number(seconds) * 1000;
/** @type {number[]} */
const times = [];
let failures = 0;

const once = () =>
  new Promise((resolve) => {
    const began = performance.now();
    const socket = connect({ host, port: Number(port), servername, secureContext, rejectUnauthorized: false }, () => {
      times.push(performance.now() - began);
      socket.destroy();
    });
    socket.on("error", () => {
      failures += 1;
    });
    socket.on("close", resolve);
  });

await Promise.all(
  Array.from({ length: Number(inFlight) }, async () => {
    while (performance.now() < end) await once();
  }),
);
times.sort((a, b) => a - b);
const at = (/** @type {number} */ share) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
process.stdout.write(
  JSON.stringify({ perSecond: times.length / Number(seconds), p50: at(0.5), p99: at(0.99), failures }),
);
