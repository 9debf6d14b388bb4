// The benchmarks: a table on stdout, or one JSON document with --json. --full adds 60,000 mappings, --quick is a look.
// --ten-million measures a log of that many events instead (a quarter of an hour, 5 GB), or of as many as are named.
// --flood measures floods only, --devices a thousand WireGuard devices only, three times each (--quick: once).
// --dns measures answers of DNS beside named and dnsmasq, and signed updates beside named.
// --sni measures a shared TLS port beside nginx.
// --upnp measures AddPortMapping beside miniupnpd.
// --dns-codec measures the DNS codec beside dns-packet; it needs no lab.
import { cpus, loadavg } from "node:os";
import { deviceRows, measureDevices } from "../bench/devices.mjs";
import { dnsCodecRows, measureDnsCodec } from "../bench/dns-codec.mjs";
import { compareDns, dnsRows } from "../bench/dns.mjs";
import { compareDnsUpdates, dnsUpdateRows } from "../bench/dns-updates.mjs";
import { floodRows, measureFloods } from "../bench/flood.mjs";
import { compareNewMappings, measureAtScale } from "../bench/map-rate.mjs";
import { compareNewFlows } from "../bench/new-flows.mjs";
import { compareSni, sniRows } from "../bench/sni.mjs";
import { CLIENTS } from "../bench/subject.mjs";
import { compareUpnp, upnpRows } from "../bench/upnp.mjs";
import { measureTenMillion, tenMillionRows } from "../bench/ten-million.mjs";
import { findProgram, missingForLab, sweepNamespaces } from "../test/lab/topology.mjs";
import { build } from "./build.mjs";
import { say } from "./steps.mjs";

const json = process.argv.includes("--json");
const quick = process.argv.includes("--quick");
const sizes = process.argv.includes("--full") ? [10_000, 60_000] : [10_000];
const mapPairs = quick ? 1 : 3;
const flowPairs = quick ? 3 : 9;
const floodsOnly = process.argv.includes("--flood");
const devicesOnly = process.argv.includes("--devices");
const rounds = quick ? 1 : 3;

const longLog = process.argv.indexOf("--ten-million");
const eventsNamed = Number(longLog < 0 ? Number.NaN : process.argv[longLog + 1]);
const longLogEvents = Number.isNaN(eventsNamed) ? 10_000_000 : eventsNamed;

/** @param {string} text */
const progress = (text) => process.stderr.write(`  ${text}\n`);
if (process.argv.includes("--dns-codec")) {
  if (!(await build())) process.exit(1);
  const pairs = quick ? 3 : 9;
  process.stderr.write(`${cpus().length} cores, load average ${loadavg()[0]?.toFixed(2)}, medians of ${pairs} pairs\n`);
  const codec = await measureDnsCodec(pairs, progress);
  if (json) say(JSON.stringify({ cores: cpus().length, codec }, null, 2));
  else printRows(dnsCodecRows(codec, n));
  process.exit(0);
}

const peers =
  longLog >= 0
    ? []
    : process.argv.includes("--devices")
      ? ["wg", "wireguard-go"]
      : process.argv.includes("--dns")
        ? ["named", "dnsmasq", "dnsperf"]
        : process.argv.includes("--sni")
          ? ["haproxy", "nginx", "python3"]
          : ["miniupnpd"];
const noPeer = peers.find((program) => findProgram(program) === null);
const missing = missingForLab() ?? (noPeer === undefined ? null : `the program "${noPeer}" is not installed`);
if (missing !== null) {
  process.stderr.write(`The benchmarks need a lab: ${missing}.\n`);
  process.exit(1);
}
if (!(await build())) process.exit(1);
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));
await sweepNamespaces();

if (longLog >= 0) {
  const measured = await measureTenMillion(longLogEvents, progress);
  if (json) say(JSON.stringify(measured, null, 2));
  else printRows(tenMillionRows(measured, n));
  process.exit(0);
}
if (floodsOnly) {
  process.stderr.write(`${cpus().length} cores, load average ${loadavg()[0]?.toFixed(2)}, medians of ${rounds}\n`);
  const floods = await measureFloods(rounds, progress);
  if (json) say(JSON.stringify({ cores: cpus().length, floods }, null, 2));
  else printRows(floodRows(floods, n));
  process.exit(0);
}
if (process.argv.includes("--dns")) {
  process.stderr.write(`${cpus().length} cores, load average ${loadavg()[0]?.toFixed(2)}, medians of ${rounds}\n`);
  const dns = await compareDns(rounds, quick ? 3 : 8, progress);
  const updates = await compareDnsUpdates(rounds, progress);
  if (json) say(JSON.stringify({ cores: cpus().length, dns, updates }, null, 2));
  else printRows([...dnsRows(dns, n), ...dnsUpdateRows(updates, n)]);
  process.exit(0);
}
if (process.argv.includes("--sni")) {
  process.stderr.write(
    `${cpus().length} cores, load average ${loadavg()[0]?.toFixed(2)}, medians of ${quick ? 1 : 5}\n`,
  );
  const sni = await compareSni(quick ? 1 : 5, quick ? 500 : 10_000, progress);
  if (json) say(JSON.stringify({ cores: cpus().length, sni }, null, 2));
  else printRows(sniRows(sni, n));
  process.exit(0);
}
if (process.argv.includes("--upnp")) {
  process.stderr.write(`${cpus().length} cores, load average ${loadavg()[0]?.toFixed(2)}, medians of ${mapPairs}\n`);
  const upnp = await compareUpnp(mapPairs, progress);
  if (json) say(JSON.stringify({ cores: cpus().length, upnp }, null, 2));
  else printRows(upnpRows(upnp, n));
  process.exit(0);
}
if (devicesOnly) {
  process.stderr.write(`${cpus().length} cores, load average ${loadavg()[0]?.toFixed(2)}, medians of ${rounds}\n`);
  const devices = await measureDevices(rounds, progress);
  if (json) say(JSON.stringify({ cores: cpus().length, devices }, null, 2));
  else printRows(deviceRows(devices, n));
  process.exit(0);
}
process.stderr.write(`${cpus().length} cores, ${CLIENTS} client addresses, each pair interleaved, medians\n`);
const mappings = await compareNewMappings(mapPairs, progress);
const scale = await measureAtScale(mappings.portreeve.perSecond, sizes, progress);
const flows = await compareNewFlows(flowPairs, progress);
const floods = await measureFloods(1, progress);

const counts = { cores: cpus().length, clients: CLIENTS, mapPairs, flowPairs };
if (json) say(JSON.stringify({ ...counts, mappings, scale, flows, floods }, null, 2));
else printTable();

function printTable() {
  const { portreeve: ours, afterStart: first, miniupnpd: peer } = mappings;
  const rows = [
    ["", "Portreeve", "peer or base", "ratio"],
    [
      "new mappings 0 → 1,000, /s (peer: miniupnpd)",
      n(ours.perSecond),
      n(peer.perSecond),
      `${n(ours.perSecond / peer.perSecond)} ×`,
    ],
    ["  p50 / p99, ms", `${n(ours.p50)} / ${n(ours.p99)}`, `${n(peer.p50)} / ${n(peer.p99)}`, ""],
    [
      "  as the first thing after a start, /s",
      n(first.perSecond),
      n(peer.perSecond),
      `${n(first.perSecond / peer.perSecond)} ×`,
    ],
    ["  p50 / p99, ms", `${n(first.p50)} / ${n(first.p99)}`, "", ""],
    ...scale.atSizes.flatMap(({ size, mapping, share, renewing, eventsOfRenewals, memory }) => [
      [
        `new mappings with ${thousands(size)} present, /s (base: 0 → 1,000)`,
        n(mapping.perSecond),
        n(ours.perSecond),
        n(share),
      ],
      ["  p50 / p99, ms", `${n(mapping.p50)} / ${n(mapping.p99)}`, "", ""],
      [
        `renewals with ${thousands(size)} present, /s`,
        n(renewing?.perSecond ?? 0),
        "",
        `${eventsOfRenewals} events in ${n(renewing?.seconds ?? 0)} s`,
      ],
      [
        `memory at ${thousands(size)}: PSS (RSS), MB`,
        `${n(memory.pssMb)} (${n(memory.rssMb)})`,
        "",
        `${memory.processes} processes`,
      ],
    ]),
    [
      "memory idle: PSS (RSS), MB",
      `${n(scale.idle.pssMb)} (${n(scale.idle.rssMb)})`,
      "",
      `${scale.idle.processes} processes`,
    ],
    [
      "replay: read, verified, folded (base: folded alone), events/s",
      n(scale.replay.perSecond),
      n(scale.replay.foldPerSecond),
      `${thousands(scale.replay.records)} events`,
    ],
    [`boot to ready with ${thousands(scale.present)} mappings, s`, n(scale.bootSeconds), "", ""],
    .../** @type {const} */ (["tcp", "udp"]).map((protocol) => {
      const { many, one, ratio, interval } = flows[protocol];
      const sure = interval === null ? "" : ` [${interval.map(n).join(", ")}]`;
      return [
        `new ${protocol.toUpperCase()} flows, 10,000 forwards, /s (base: one)`,
        n(many),
        n(one),
        `${n(ratio)}${sure}`,
      ];
    }),
    ...floodRows(floods, n),
  ];
  printRows(rows);
}

/** @param {readonly (readonly string[])[]} rows */
function printRows(rows) {
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    say(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("   "),
    );
}

/** @param {number} value */
function n(value) {
  return value >= 100 ? thousands(Math.round(value)) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {number} value */
function thousands(value) {
  return value.toLocaleString("en-US");
}
