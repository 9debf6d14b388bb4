import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SniRow, sniRowKey } from "../../src/lib/sni-row.ts";
import { haproxiesOf } from "./haproxy-driver.ts";
import { askHaproxy } from "./haproxy-socket.ts";
import { eventually } from "./lab.ts";
import { handshake, hello, records } from "./programs/client-hello.mjs";
import { digestOf } from "./programs/sni-content.mjs";
import { type Attempt, type Said, SniLab } from "./sni-lab.ts";
import { findProgram, missingForLab, WAN_GATEWAY } from "./topology.mjs";

const missing =
  missingForLab() ?? ["haproxy", "openssl", "curl"].find((program) => findProgram(program) === null) ?? null;

const say = (bytes: Buffer, more: Partial<Attempt> = {}): Attempt => {
  return { address: WAN_GATEWAY, port: 9000, bytes: bytes.toString("base64"), ...more };
};
const one = handshake(["a.example.com"]);

/** What is said to the shared port, and whose name is heard then; "": it is closed. */
const QUICK: Readonly<Record<string, readonly [Attempt, string]>> = {
  whole: [say(hello("a.example.com")), "one"],
  "one octet a segment": [say(hello("a.example.com"), { size: 1 }), "one"],
  "one octet a record": [say(records(one, 1)), "one"],
  "records of 7 in segments of 11": [say(records(one, 7), { size: 11 }), "one"],
  "almost 16 KiB": [say(records(handshake(["a.example.com"], 16_000)), { size: 4000 }), "one"],
  "upper case": [say(hello("A.Example.COM")), "one"],
  "a last dot": [say(hello("a.example.com.")), "one"],
  wildcard: [say(hello("x.example.com")), "two"],
  "two labels more than the wildcard": [say(hello("y.x.example.com")), ""],
  "the wildcard itself": [say(hello("*.example.com")), ""],
  "the parent of the wildcard": [say(hello("example.com")), ""],
  "a NUL behind the name": [say(hello("a.example.com\0.evil.net")), ""],
  "a slash": [say(hello("a.example.com/")), ""],
  "an address": [say(hello("192.168.77.2")), ""],
  "an IPv6 address": [say(hello("2001:db8::1")), ""],
  "no name": [say(records(handshake([]))), ""],
  "an empty name": [say(hello("")), ""],
  "two names": [say(records(handshake(["a.example.com", "b.example.com"]))), ""],
  "no TLS": [say(Buffer.from("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")), ""],
  "64 KiB": [say(records(handshake(["a.example.com"], 65_000))), ""],
};
/** Closed when five seconds are over, however much was said last. */
const UNFINISHED: typeof QUICK = {
  "an octet now and then": [say(hello("a.example.com"), { size: 1, everyMs: 200 }), ""],
  "half of it": [say(hello("a.example.com").subarray(0, 60)), ""],
  nothing: [say(Buffer.alloc(0)), ""],
};

describe.skipIf(missing !== null)("names on a shared port", () => {
  let lab: SniLab;
  let rows: SniRow[] = [];
  let unfinished: Promise<Said[]>;

  beforeAll(async () => {
    lab = await SniLab.open();
    rows = [
      lab.proxy(),
      lab.route("a.example.com", "one"),
      lab.route("*.example.com", "two"),
      lab.fallback("three"),
      lab.route("a.example.com", "one", 9000),
      lab.route("*.example.com", "two", 9000),
      { kind: "redirect", address: WAN_GATEWAY },
    ];
    await lab.haproxy.start();
    expect(await lab.want(rows)).toEqual({});
    unfinished = lab.internet.sayAll(Object.values(UNFINISHED).map(([attempt]) => attempt));
  }, 30_000);
  afterAll(() => lab?.close());

  const ask = async (name: string): Promise<string> => {
    const url = `https://${name}/`;
    const resolve = `${name}:443:${WAN_GATEWAY}`;
    return await lab.topology.internet.exec("curl", "-sk", "--max-time", "5", "--resolve", resolve, url);
  };

  it("lead curl and openssl to the target of the exact name, of the wildcard, or of all else, which see the client", async () => {
    const cases = { "a.example.com": "one", "b.example.com": "two", "c.b.example.com": "three", "other.net": "three" };
    for (const [name, backend] of Object.entries(cases)) {
      expect(JSON.parse(await ask(name)), name).toMatchObject({ name: backend, from: lab.topology.internet.address });
      const subject = await lab.topology.internet.exec(
        "sh",
        "-c",
        `openssl s_client -connect ${WAN_GATEWAY}:443 -servername ${name} </dev/null 2>/dev/null | grep ^subject`,
      );
      expect(subject.trim()).toBe(`subject=CN = ${backend}`);
    }
    const hits = await lab.haproxy.hits();
    expect(hits[`route|${WAN_GATEWAY}|443|a.example.com`]).toMatchObject({ total: 2 });
    expect(hits[`fallback|${WAN_GATEWAY}|443`]).toMatchObject({ total: 4 });
  });

  it("runs HAProxy with CAP_NET_ADMIN alone, in a session of its own, and nobody else may ask it", async () => {
    const [pid] = haproxiesOf(lab.topology.gateway);
    const status = await lab.topology.gateway.exec("cat", `/proc/${pid}/status`);
    expect(status).toMatch(/^CapEff:\t0000000000001000$/m);
    expect(status).toMatch(/^CapBnd:\t0000000000001000$/m);
    expect(status).not.toMatch(/^Uid:\t0\b/m);
    const socket = await lab.topology.gateway.exec("stat", "-c", "%a %F", lab.socket);
    expect(socket.trim()).toBe("600 socket");
    const session = await lab.topology.gateway.exec("ps", "-o", "sid=", "-p", `${pid}`);
    expect(session.trim()).toBe(`${pid}`);
  });

  it("shows a target in another network the client, and a neighbour of the client the gateway", async () => {
    const { lan1Client, lanGateway, gateway } = lab.topology;
    await gateway.exec("sysctl", "-qw", "net.ipv4.conf.all.src_valid_mark=1", "net.ipv4.conf.all.rp_filter=1");
    expect(JSON.parse((await lab.otherLan.fetch("a.example.com")).body)).toMatchObject({
      from: lan1Client?.address,
    });
    expect(JSON.parse((await lab.neighbour.fetch("a.example.com")).body)).toMatchObject({
      from: lanGateway,
    });
    expect(JSON.parse((await lab.internet.fetch("a.example.com")).body)).toMatchObject({ name: "one" });
    const seen: SniRow = { ...(rows[1] as Extract<SniRow, { kind: "route" }>), source: "gateway" };
    expect(await lab.want([...rows.slice(0, 1), seen, ...rows.slice(2)])).toEqual({});
    expect(JSON.parse((await lab.internet.fetch("a.example.com")).body)).toMatchObject({
      from: lanGateway,
    });
    expect(await lab.want(rows)).toEqual({});
    expect(lab.returnPath).toHaveLength(3);
  });

  it("asks both ends of a silent connection whether they are there", async () => {
    await lab.internet.begin([{ name: "a.example.com", path: "/pieces/endless" }]);
    await lab.backends.get("one")?.pause();
    const { gateway, internet } = lab.topology;
    const timers = async () => await gateway.exec("ss", "-tnoH", "state", "established", "dst", internet.address);
    const target = async () =>
      await gateway.exec("ss", "-tnoH", "state", "established", "dst", lab.host("one").address);
    await eventually(async () => {
      expect(await timers()).toMatch(/:60443 .*timer:\(keepalive/);
      expect(await target()).toMatch(/:443 .*timer:\(keepalive/);
    });
    await lab.backends.get("one")?.finish();
    await lab.internet.finish();
  });

  it("takes no connection to a port of its own", async () => {
    for (const port of [60_443, 60_080]) {
      expect(await lab.internet.reaches(WAN_GATEWAY, port, 300), `${port}`).toBe(false);
      expect(await lab.neighbour.reaches(lab.topology.lanGateway, port, 300), `${port}`).toBe(false);
    }
    expect(await lab.internet.reaches(WAN_GATEWAY, 443, 300)).toBe(true);
  });

  it("lets one source hold so many connections, and serves the others", async () => {
    const refused = await lab.peer.hold(90, 500);
    expect(refused).toBeGreaterThanOrEqual(30);
    expect(JSON.parse(await ask("a.example.com"))).toMatchObject({ name: "one" });
    await lab.peer.drop();
  });

  it("sends HTTP to HTTPS, and what is no request nowhere", async () => {
    const { internet } = lab.topology;
    const curl = (...args: string[]) =>
      internet.exec("curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", ...args);
    const site = `http://${WAN_GATEWAY}`;
    const named = (host: string) => ["-H", `Host: ${host}`];
    expect(await curl(...named("A.example.com"), `${site}/p/q?x=1`)).toBe("308 https://a.example.com/p/q?x=1");
    expect(await curl(...named("a.example.com:80"), "-X", "POST", "-d", "x", site)).toBe("308 https://a.example.com/");
    expect(await curl("-0", ...named("a.example.com"), `${site}/`)).toBe("308 https://a.example.com/");
    for (const host of [
      "a.example.com/@evil.net",
      "evil.net@a.example.com",
      "a b",
      `${"a".repeat(300)}.net`,
      "[::1]",
    ]) {
      expect(await curl(...named(host), site), host).toBe("400 ");
    }
    expect(await curl("-0", "-H", "Host:", site)).toBe("400 ");
    expect(await curl(...named("a.example.com"), `${site}/${"x".repeat(5000)}`)).toBe("400 ");
    const raw = ["GET / HTTP/1.0\r\n\r\n", "\0\0\0\0", "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"].map((text) => ({
      address: WAN_GATEWAY,
      port: 80,
      bytes: Buffer.from(text).toString("base64"),
    }));
    for (const { heard } of await lab.internet.sayAll(raw)) expect(heard).toMatch(/^HTTP\/1\.[01] 400/);
  });

  it("understands every ClientHello that is one, and leads no other anywhere", async () => {
    const said = [
      ...(await lab.internet.sayAll(Object.values(QUICK).map(([attempt]) => attempt))),
      ...(await unfinished),
    ];
    const cases = { ...QUICK, ...UNFINISHED };
    const heard = Object.keys(cases).map((name, index) => [name, said[index]?.heard]);
    expect(Object.fromEntries(heard)).toEqual(
      Object.fromEntries(Object.entries(cases).map(([name, [, backend]]) => [name, backend])),
    );
    expect(Math.max(...said.map(({ ms }) => ms))).toBeLessThan(8000);
    const dialled = await Promise.all([...lab.backends.values()].map((backend) => backend.dialled()));
    const led = Object.values(cases).filter(([, backend]) => backend !== "").length;
    expect(dialled.reduce((sum, count) => sum + count)).toBe(led);
  });

  it("changes routes under long transfers, dies and comes back, and no connection notices", async () => {
    const requests = ["a.example.com", "b.example.com", "other.net"].flatMap((name) =>
      [150, 160, 170].map((count) => ({ name, path: `/pieces/${count}` })),
    );
    const pids = haproxiesOf(lab.topology.gateway);
    await lab.internet.begin(requests);
    for (let round = 0; round < 100; round += 1) {
      const more = [
        lab.route(`n${round}.example.net`, "one"),
        lab.route("a.example.com", round % 2 === 0 ? "two" : "one"),
      ];
      await lab.want([...rows.filter(({ kind }) => kind !== "fallback"), ...more]);
    }
    await lab.haproxy.kill();
    lab.haproxy = lab.control();
    await lab.haproxy.want(rows.map((spec) => ({ key: sniRowKey(spec), spec, owners: ["test"], revision: 1 })));
    const first = await lab.haproxy.start();
    expect(first).toMatchObject({ failed: 0, error: null });
    expect(JSON.parse(await ask("a.example.com"))).toMatchObject({ name: "one" });
    const backends = ["one", "two", "three"];
    const expected = requests.map(({ path }, index) =>
      digestOf(backends[Math.floor(index / 3)] as string, Number(path.split("/").at(-1))),
    );
    expect((await lab.internet.finish()).map(({ digest }) => digest)).toEqual(expected);
    expect(haproxiesOf(lab.topology.gateway)).toEqual(pids);
  });

  it("mends a route that another program removed, changed or added", async () => {
    const map = "/proc/self/fd/3/routes.map";
    const listed = async () =>
      (await askHaproxy(lab.socket, `show map ${map}`))
        .replaceAll(/^0x\S+ /gm, "")
        .split("\n")
        .sort();
    const right = await listed();
    await askHaproxy(lab.socket, `del map ${map} ${WAN_GATEWAY}:443/a.example.com`);
    await askHaproxy(lab.socket, `set map ${map} ${WAN_GATEWAY}:443/*.example.com 192.168.77.9:1:keep`);
    await askHaproxy(lab.socket, `add map ${map} ${WAN_GATEWAY}:443/evil.net 192.168.77.9:1:keep`);
    expect(await listed()).not.toEqual(right);
    await eventually(async () => expect(await listed()).toEqual(right), 3000);
  });

  it("starts HAProxy again when it was killed, with the same routes", async () => {
    const [pid] = haproxiesOf(lab.topology.gateway);
    process.kill(pid as number, "SIGKILL");
    await eventually(async () => expect(JSON.parse(await ask("a.example.com"))).toMatchObject({ name: "one" }), 5000);
    expect(haproxiesOf(lab.topology.gateway)).not.toEqual([pid]);
    expect(Object.keys(await lab.haproxy.observe()).sort()).toEqual(rows.map(sniRowKey).sort());
  });

  it("replaces a HAProxy that hangs", async () => {
    const [pid] = haproxiesOf(lab.topology.gateway);
    process.kill(pid as number, "SIGSTOP");
    await eventually(async () => expect(JSON.parse(await ask("a.example.com"))).toMatchObject({ name: "one" }), 15_000);
    expect(haproxiesOf(lab.topology.gateway)).not.toContain(pid);
  });

  it("stops HAProxy when no row is left", async () => {
    expect(await lab.want([])).toEqual({});
    expect(haproxiesOf(lab.topology.gateway)).toEqual([]);
    expect(existsSync(lab.socket)).toBe(false);
    expect(await lab.want(rows)).toEqual({});
    await lab.haproxy.teardown();
    expect(haproxiesOf(lab.topology.gateway)).toEqual([]);
  });
});
