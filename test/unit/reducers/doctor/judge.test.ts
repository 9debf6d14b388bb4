import { describe, expect, it } from "vitest";
import type { Finding } from "../../../../src/reducers/doctor/finding.ts";
import type { GatewayFacts, WanFacts } from "../../../../src/reducers/doctor/gateway.ts";
import { judge } from "../../../../src/reducers/doctor/judge.ts";
import type { MachineFacts } from "../../../../src/reducers/doctor/machine.ts";
import type { Ipv6Place } from "../../../../src/reducers/ipv6-place.ts";

const WAN: WanFacts = {
  interface: "wan0",
  up: true,
  addresses: ["11.22.33.1"],
  externalAddress: "11.22.33.1",
  gateway: "11.22.33.2",
};
const SECOND: WanFacts = { ...WAN, interface: "wan1", gateway: "link" };
const GATEWAY: GatewayFacts = {
  fault: null,
  verification: { state: "ok", message: "every record is the one that was written" },
  reconcilers: [{ name: "sysctls", level: "ok", message: "in sync", heldBack: 0 }],
  wans: [WAN],
  wansNamed: true,
  listeners: [{ protocol: "tcp", port: 22 }],
  ipv6Subnets: [],
  unanswered: [],
  redirectRivals: [],
  proxy: { running: true, missing: null },
};
const DISK = { path: "/var/lib/portreeve", freeBytes: 2 ** 33, totalBytes: 2 ** 34, freeFiles: 1000 };
const MACHINE: MachineFacts = {
  sysctls: [{ name: "net.ipv4.ip_forward", wanted: "1", found: "1", reason: "nothing is forwarded without it" }],
  programs: [{ name: "ip", found: true, package: "iproute2", reason: "interfaces are read by it", required: true }],
  wireguard: null,
  clock: { synchronised: true, aheadMs: 0 },
  disk: DISK,
  sockets: [{ name: "port control", address: "192.168.7.1", port: 5351, bound: true, holder: null }],
  threads: [{ name: "DNS", losses: 0, reason: null }],
  routerAdvertisements: [],
  ipv6Default: true,
};
const NO_FIREWALLS = {
  chains: [],
  configured: [],
  served: { wans: [], inside: [], services: [], forwards: [], proxied: [], forwardMark: 1 },
};

function findings(gateway: Partial<GatewayFacts>, machine: Partial<MachineFacts>): Finding[] {
  const facts = { gateway: { ...GATEWAY, ...gateway }, machine: { ...MACHINE, ...machine } };
  return judge({ ...facts, firewalls: NO_FIREWALLS, unknown: [] }).filter(({ level }) => level !== "ok");
}

const wan = (changes: Partial<WanFacts>): Partial<GatewayFacts> => ({
  wans: [{ ...WAN, externalAddress: null, ...changes }],
});
const ipv6 = (place: Ipv6Place, part: string | null = null): Partial<GatewayFacts> => ({
  ipv6Subnets: [{ name: "home", prefix: "2001:db8:5::/64", place, part }],
});
const EVERYTHING_FINE = {};

describe("the doctor", () => {
  it("is content where all is as it should be", () => {
    expect(findings(EVERYTHING_FINE, EVERYTHING_FINE)).toEqual([]);
  });

  it("[W3] says what only StartOS can do, and finds no fault with it", () => {
    const unanswered = [{ device: "nas", profile: "starttunnel", port: "8443/tcp", manual: false }] as const;
    const facts = { gateway: { ...GATEWAY, unanswered }, machine: MACHINE, firewalls: NO_FIREWALLS, unknown: [] };
    const found = judge(facts).find(({ check }) => check === "visitors");
    expect(found?.level).toBe("ok");
    expect(found?.message).toMatch(
      /visitors of 8443\/tcp only if it is StartOS.*`portreeve port keep 8443\/tcp` and then/,
    );
  });

  it.each<[string, Partial<GatewayFacts>, Partial<MachineFacts>, RegExp, RegExp]>([
    ["no WAN", { wans: [] }, {}, /there is no WAN/, /wan\.interfaces/],
    ["a WAN that is down", wan({ up: false }), {}, /wan0 is down/, /ip link set wan0 up/],
    ["a WAN without an address", wan({ addresses: [] }), {}, /no IPv4 address/, /DHCP/],
    ["carrier NAT", wan({ addresses: ["100.72.1.9"] }), {}, /100\.72\.1\.9.*CGNAT/, /provider/],
    ["1:1 NAT", wan({ addresses: ["10.0.0.4"] }), {}, /10\.0\.0\.4, which the Internet/, /wan\.externalAddress/],
    [
      "one of two WANs without a route",
      { wans: [WAN, { ...SECOND, gateway: null }] },
      {},
      /wan1 leads nowhere/,
      /ip route show/,
    ],
    ["safe mode", { fault: { message: "record 7 is damaged", next: "mend it" } }, {}, /safe mode: record 7/, /mend it/],
    ["a damaged past", { verification: { state: "damaged", message: "record 3" } }, {}, /record 3/, /status/],
    [
      "a reconciler in error",
      { reconcilers: [{ name: "routes", level: "degraded", message: "EPERM", heldBack: 0 }] },
      {},
      /routes: EPERM/,
      /reconciler show routes/,
    ],
    [
      "the delete brake",
      { reconcilers: [{ name: "routes", level: "ok", message: "", heldBack: 40 }] },
      {},
      /holds back 40 deletes/,
      /release-brake routes/,
    ],
    [
      "a forward where the redirect is to be",
      { redirectRivals: ["a forward to 192.168.77.2 (m1) on wan0"] },
      {},
      /HTTP is not sent to HTTPS.*192\.168\.77\.2 \(m1\)/,
      /wan\.httpRedirect to auto/,
    ],
    [
      "names that nobody can lead",
      { proxy: { running: false, missing: "HAProxy is not installed" } },
      {},
      /reach nobody: HAProxy is not installed/,
      /install the package haproxy/,
    ],
    [
      "a kernel parameter",
      {},
      { sysctls: [{ name: "net.ipv4.ip_forward", wanted: "1", found: "0", reason: "why" }] },
      /1 kernel parameters are not set/,
      /sysctl -w net\.ipv4\.ip_forward=1/,
    ],
    [
      "a missing program",
      {},
      { programs: [{ name: "ip", found: false, package: "iproute2", reason: "why", required: true }] },
      /program ip is missing: why/,
      /apt install iproute2/,
    ],
    ["no WireGuard", {}, { wireguard: { module: false, userspace: false, tun: true } }, /neither/, /wireguard-go/],
    ["no tun device", {}, { wireguard: { module: false, userspace: true, tun: false } }, /dev\/net\/tun/, /modprobe/],
    [
      "a taken port",
      {},
      {
        sockets: [
          { name: "port control", address: "192.168.7.1", port: 5351, bound: false, holder: "miniupnpd (pid 9)" },
        ],
      },
      /another program has our port/,
      /stop miniupnpd \(pid 9\)/,
    ],
    [
      "a lost IPv6 route",
      {},
      { routerAdvertisements: [{ interface: "wan0", forwarding: true, acceptRa: 1 }] },
      /IPv6 default route of wan0 will end/,
      /accept_ra=2/,
    ],
    [
      "a prefix that an interface has an address in",
      ipv6({ kind: "taken", interface: "wan0", address: "2001:db8:5::7/64" }, "2001:db8:5:0:59::/80"),
      {},
      /wan0 has 2001:db8:5::7\/64 in it/,
      /subnet edit home --ipv6 2001:db8:5:0:59::\/80/,
    ],
    [
      "a prefix without a way out",
      ipv6({ kind: "on-link", wans: ["wan0"] }),
      { ipv6Default: false },
      /no IPv6 default route/,
      /subnet edit home --ipv6 none/,
    ],
    [
      "a full disk",
      {},
      { disk: { path: "/d", freeBytes: 2 ** 20, totalBytes: 2 ** 30, freeFiles: null } },
      /1 MiB of 1024 MiB are free in \/d/,
      /make room/,
    ],
    ["no more files", {}, { disk: { ...DISK, freeFiles: 0 } }, /no more files/, /make room/],
    ["a data directory that is gone", {}, { disk: null }, /data directory is not there/, /backup/],
  ])("calls %s a problem and says what helps", (_name, gateway, machine, message, fix) => {
    const [finding, ...more] = findings(gateway, machine);
    expect(more).toEqual([]);
    expect(finding?.level).toBe("problem");
    expect(finding?.message).toMatch(message);
    expect(finding?.fix).toMatch(fix);
  });

  it("warns of a HAProxy that goes on without its program", () => {
    const [finding, ...more] = findings({ proxy: { running: true, missing: "HAProxy is not installed" } }, {});
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ level: "warning", check: "haproxy", fix: expect.stringContaining("haproxy") });
    expect(findings({ proxy: { running: false, missing: null } }, {}), "the reconciler tells").toEqual([]);
  });

  it("warns of several WANs that nobody named, and is content with a single one that has no route", () => {
    const [finding, ...more] = findings({ wans: [WAN, SECOND], wansNamed: false }, {});
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ level: "warning", fix: expect.stringContaining("[wan0, wan1]") });
    expect(findings({ wans: [WAN, SECOND] }, {})).toEqual([]);
    expect(findings({ wans: [{ ...WAN, gateway: null }], wansNamed: false }, {})).toEqual([]);
  });

  it.each<[string, Partial<MachineFacts>, RegExp]>([
    ["a clock that nothing keeps", { clock: { synchronised: false, aheadMs: 0 } }, /not synchronised/],
    ["a clock that was set", { clock: { synchronised: true, aheadMs: -3_600_000 } }, /60 min behind/],
    [
      "a thread that died and was replaced",
      { threads: [{ name: "DNS", losses: 2, reason: "the DNS thread failed: boom" }] },
      /DNS thread ended by itself 2 times/,
    ],
    ["little room", { disk: { path: "/d", freeBytes: 2 ** 28, totalBytes: 2 ** 34, freeFiles: 5 } }, /256 MiB/],
    [
      "a program that is missed now and then",
      { programs: [{ name: "conntrack", found: false, package: "conntrack", reason: "why", required: false }] },
      /conntrack is missing/,
    ],
  ])("warns of %s", (_name, machine, message) => {
    const [finding] = findings({}, machine);
    expect(finding?.level).toBe("warning");
    expect(finding?.message).toMatch(message);
  });

  it("warns of a prefix that only the provider can route here, and names one that needs no route", () => {
    const [finding, ...more] = findings(ipv6({ kind: "routed" }, "2001:db8:9:0:59::/80"), {});
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ level: "warning", check: "ipv6-subnet" });
    expect(finding?.fix).toContain("--ipv6 2001:db8:9:0:59::/80");
  });

  it("is content with unique local addresses wherever the machine is, and with a part of a WAN's network", () => {
    expect(findings(ipv6({ kind: "local" }), { ipv6Default: false })).toEqual([]);
    expect(findings(ipv6({ kind: "on-link", wans: ["wan0"] }), {})).toEqual([]);
  });

  it("[W3] warns of visitors whom a device cannot answer, and says what helps", () => {
    const unanswered = [{ device: "nas", profile: "split", port: "8443/tcp", manual: true }] as const;
    expect(findings({ unanswered }, {})).toMatchObject([
      {
        level: "warning",
        message: expect.stringContaining("nas answers no visitor of 8443/tcp: it has the profile split") as string,
        fix: expect.stringMatching(/^`portreeve port edit 8443\/tcp --source gateway`/) as string,
      },
    ]);
  });

  it("[W3] puts visitors for whom there is no hope first, and counts those it does not show", () => {
    const to = (profile: "split" | "starttunnel", count: number) =>
      Array.from({ length: count }, (_, index) => ({
        device: "nas",
        profile,
        port: `${8000 + index}/tcp`,
        manual: true,
      }));
    const found = findings({ unanswered: [...to("starttunnel", 12), ...to("split", 2)] }, {});
    expect(found.map(({ message }) => message)).toEqual([
      expect.stringContaining("nas answers no visitor of 8000/tcp"),
      expect.stringContaining("nas answers no visitor of 8001/tcp"),
    ]);
    expect(findings({ unanswered: to("split", 20) }, {})).toMatchObject([
      ...to("split", 12).map(() => ({ level: "warning" })),
      { level: "warning", message: "the same is so of 8 more forwards to devices in the tunnel" },
    ]);
  });

  it("leaves an IPv6 route alone that lasts: accept_ra=2, no forwarding, or kept by another program", () => {
    for (const [forwarding, acceptRa] of [
      [true, 2],
      [false, 1],
      [true, 0],
    ] as const) {
      expect(findings({}, { routerAdvertisements: [{ interface: "wan0", forwarding, acceptRa }] })).toEqual([]);
    }
  });

  it("says what it could not find out", () => {
    const facts = { gateway: GATEWAY, machine: MACHINE, firewalls: NO_FIREWALLS };
    const unknown = [{ check: "other-firewalls", reason: "nftables could not be listed" }];
    expect(judge({ ...facts, unknown }).at(-1)).toMatchObject({
      level: "warning",
      message: expect.stringContaining("nftables could not be listed"),
    });
  });
});
