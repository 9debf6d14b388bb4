import { expect } from "vitest";
import { makeForeignTables } from "./foreign-tables.ts";
import { ControlPoint } from "./control-point.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { encodeMap, filterOption, type MapRequest, newNonce, type Reply } from "./programs/pcp-wire.mjs";
import { batch, type Host } from "./topology.mjs";

/** As a provider delegates it; none of it is translated on its way. */
const LAN = "2001:db8:77::";
const ROUTER = `${LAN}1`;
const HOST = `${LAN}2`;
const NEIGHBOUR = `${LAN}3`;
const STRANGER = "2001:db8:33::2";
const FRIEND = "2001:db8:33::9";

const PREFER_FAILURE = "02000000";
const ALL_NODES = "ff02::1";
const RESULT = { success: 0, notAuthorized: 2, cannotProvideExternal: 11, addressMismatch: 12 };

const options = {
  timeoutMs: 120_000,
  clients: 2,
  config: { lan: [{ interface: "lan0" }] },
  /** A network of the world's on lan0, as a router has it before it serves anything. */
  others: async (gateway: Host) => {
    await gateway.exec("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
    await batch(gateway.namespace, [
      "address add 2001:db8:33::1/64 dev wan0 nodad",
      `address add ${ROUTER}/64 dev lan0 nodad`,
    ]);
    await makeForeignTables(gateway);
  },
};

/** And a way for the world to its hosts. */
async function prepare({ topology }: Lab): Promise<void> {
  const { internet, clients } = topology;
  await batch(internet.namespace, [
    `address add ${STRANGER}/64 dev wan0 nodad`,
    `address add ${FRIEND}/64 dev wan0 nodad`,
    `route add ${LAN}/64 via 2001:db8:33::1`,
  ]);
  for (const [index, client] of clients.entries()) {
    await batch(client.namespace, [
      `address add ${LAN}${index + 2}/64 dev eth0 nodad`,
      `route add default via ${ROUTER}`,
    ]);
  }
  // Neighbours are asked for from link-local addresses, which are none before DAD is over.
  await eventually(async () =>
    expect(await topology.gateway.exec("ip", "-6", "address", "show", "tentative")).toBe(""),
  );
}

type Asked = Partial<MapRequest> & { server?: string; from?: string; port?: number };

/** PCP from the first host, of its own address. */
async function map(lab: Lab, { server = ROUTER, from = HOST, ...asked }: Asked = {}): Promise<Reply> {
  const request = { client: HOST, protocol: "tcp", internalPort: 8080, lifetime: 600, ...asked } as const;
  const reply = await lab.client(0).pcp({ server, from, bytes: encodeMap(request), timeoutMs: 8000 });
  if (reply === null) throw new Error("no answer");
  return reply;
}

const reach = (lab: Lab, host: string, port: number, from = STRANGER): Promise<string | null> =>
  lab.internet.refusedTcp({ host, port, from });

async function removeAll(lab: Lab): Promise<void> {
  for (const { id } of await lab.gateway.ports()) await lab.gateway.cli("port", "remove", id, "--yes");
}

scenario("[P7] an IPv6 pinhole lets in what it names and nothing else", options, async (lab) => {
  const [host, neighbour] = [lab.client(0), lab.client(1)];
  await host.listenUp("announcements", 5350, ALL_NODES);
  await prepare(lab);
  await host.listen({ tcp: [8080, 8081], udp: [8080], address: "::" });
  await neighbour.listen({ tcp: [8080], address: "::" });

  // RFC 6887 §14.1: whoever listens hears of a server that has just begun.
  const told = await eventually(async () => {
    const heard = (await host.heard("announcements")).filter(({ opcode }) => opcode === 0);
    expect(heard.map(({ from }) => from)).toContain(ROUTER);
    return heard;
  }, 10_000);
  expect(told[0]).toMatchObject({ version: 2, result: RESULT.success });

  expect(await reach(lab, HOST, 8080)).not.toBeNull();
  const nonce = newNonce();
  // Another port and address than its own cannot be given; it is told what it has.
  const reply = await map(lab, { nonce, suggestedPort: 9000 });
  expect(reply).toMatchObject({ result: 0, lifetime: 600, externalPort: 8080, externalAddress: HOST, nonce });
  expect(await lab.internet.tcp({ host: HOST, port: 8080, from: STRANGER })).toMatchObject({
    sawAddress: STRANGER,
    payload: "hello",
  });
  expect(await reach(lab, HOST, 8081)).not.toBeNull();
  expect(await reach(lab, NEIGHBOUR, 8080)).not.toBeNull();
  expect(await lab.internet.refusedUdp({ host: HOST, port: 8080, from: STRANGER })).not.toBeNull();
  // Its router is known to it by a link-local address; what is asked there is the same mapping.
  const listed = JSON.parse(await lab.topology.gateway.exec("ip", "-6", "-json", "address", "show", "dev", "lan0"));
  const linkLocal = listed[0].addr_info.find(({ scope }: { scope: string }) => scope === "link").local as string;
  expect(await map(lab, { nonce, server: `${linkLocal}%eth0` })).toMatchObject({ result: 0, externalPort: 8080 });
  const udp = await map(lab, { protocol: "udp", nonce });
  expect(udp).toMatchObject({ result: 0, externalPort: 8080, externalAddress: HOST });
  expect(await lab.internet.udp({ host: HOST, port: 8080, from: STRANGER })).toMatchObject({ payload: "hello" });

  const [tcp] = (await lab.gateway.ports()).filter(({ protocol }) => protocol === "tcp");
  expect(tcp).toMatchObject({
    external: { address: HOST, port: 8080 },
    internal: { address: HOST, port: 8080 },
    sync: "synced",
  });
  const why = await lab.gateway.cli("why", "port", `[${HOST}]:8080/tcp`);
  expect(why, why.stderr).toMatchObject({ code: 0 });
  expect(why.stdout).toContain(HOST);
  await removeAll(lab);
});

scenario("[P7] an IPv6 pinhole is refused for what is not one's own, or cannot be", options, async (lab) => {
  await prepare(lab);
  expect(await map(lab, { client: NEIGHBOUR })).toMatchObject({ result: RESULT.addressMismatch });
  const insisting = { suggestedPort: 9000, options: PREFER_FAILURE };
  expect(await map(lab, insisting)).toMatchObject({ result: RESULT.cannotProvideExternal });
  expect(await map(lab, { ...insisting, suggestedPort: 8080, suggestedAddress: NEIGHBOUR })).toMatchObject({
    result: RESULT.cannotProvideExternal,
  });
  // No IPv4 address is outside of an IPv6 host; whoever does not insist on one is told what there is.
  const ipv4 = { suggestedPort: 8080, suggestedAddress: "0.0.0.0" };
  expect(await map(lab, { ...insisting, ...ipv4 })).toMatchObject({ result: RESULT.cannotProvideExternal });
  // PCP-S-49: the rules of IPv4 hold; SSH is protected.
  expect(await map(lab, { internalPort: 22 })).toMatchObject({ result: RESULT.notAuthorized });
  expect(await lab.gateway.ports()).toEqual([]);
  const exact = { ...insisting, suggestedPort: 8080, suggestedAddress: HOST };
  const nonce = newNonce();
  expect(await map(lab, { ...ipv4, nonce })).toMatchObject({ result: 0, externalAddress: HOST });
  expect(await map(lab, { nonce, lifetime: 0 })).toMatchObject({ result: 0 });
  expect(await map(lab, exact)).toMatchObject({ result: 0, externalPort: 8080, externalAddress: HOST });
  await removeAll(lab);
});

scenario("[P7] [P4] an IPv6 pinhole with filters, and what lives longer than it", options, async (lab) => {
  const host = lab.client(0);
  await prepare(lab);
  await host.listen({ tcp: [8080], address: "::" });
  const nonce = newNonce();
  const filters = `${filterOption(FRIEND, 128)}${filterOption(STRANGER, 128, 40_000)}`;
  expect(await map(lab, { nonce, options: filters })).toMatchObject({ result: 0, options: filters });
  expect(await reach(lab, HOST, 8080, FRIEND)).toBeNull();
  expect(await reach(lab, HOST, 8080, STRANGER)).not.toBeNull();
  expect(await lab.internet.refusedTcp({ host: HOST, port: 8080, from: STRANGER, fromPort: 40_000 })).toBeNull();

  // The controller is killed: what was let in is let in.
  await lab.internet.openStream("long", { host: HOST, port: 8080, from: FRIEND });
  await lab.gateway.kill();
  expect(await reach(lab, HOST, 8080, FRIEND)).toBeNull();
  expect(await lab.internet.say("long", "still")).toMatchObject({ payload: "still" });
  await lab.gateway.start();
  expect(await lab.gateway.ports()).toMatchObject([{ internal: { address: HOST, port: 8080 }, sync: "synced" }]);

  // RFC 6887 §15.1: a delete ends nothing that lives, and nobody new comes in.
  expect(await map(lab, { nonce, lifetime: 0 })).toMatchObject({ result: 0, lifetime: 0 });
  expect(await reach(lab, HOST, 8080, FRIEND)).not.toBeNull();
  expect(await lab.internet.say("long", "still")).toMatchObject({ payload: "still" });
  // An operator's no does.
  expect(await map(lab, { nonce })).toMatchObject({ result: 0 });
  await lab.internet.openStream("short", { host: HOST, port: 8080, from: FRIEND });
  const [port] = await lab.gateway.ports();
  expect(await lab.gateway.cli("port", "block", port?.id ?? "", "--yes")).toMatchObject({ code: 0 });
  await expect(lab.internet.say("short", "still")).rejects.toThrow();
  expect(await map(lab, { nonce })).toMatchObject({ result: RESULT.notAuthorized });
  expect(await reach(lab, HOST, 8080, FRIEND)).not.toBeNull();
});

scenario(
  "[P9] [P7] a control point opens pinholes to its own IPv6 address by UPnP, and to no other",
  options,
  async (lab) => {
    const host = lab.client(0);
    await prepare(lab);
    await host.listen({ tcp: [8080], address: "::" });
    const control = new ControlPoint(host.host, { host: lab.server, port: 49_001 });
    try {
      const call = async (name: string, args: Record<string, string | number> = {}) =>
        await control.action(name, args, "/ctl/IP6FCtl", 1, "WANIPv6FirewallControl");
      expect(await call("GetFirewallStatus")).toEqual({ FirewallEnabled: "1", InboundPinholeAllowed: "1" });
      // The gateway knows its neighbours by what it sends to them.
      for (const each of [HOST, NEIGHBOUR]) {
        await lab.topology.gateway.exec("bash", "-c", `exec 3<>/dev/tcp/${each}/9 || true`).catch(() => undefined);
      }
      const pinhole = {
        RemoteHost: "",
        RemotePort: 0,
        InternalClient: HOST,
        InternalPort: 8080,
        Protocol: 6,
        LeaseTime: 600,
      };
      expect(await call("AddPinhole", { ...pinhole, InternalClient: NEIGHBOUR })).toBe(606);
      expect(await call("AddPinhole", { ...pinhole, InternalClient: ROUTER })).toBe(606);
      expect(await call("AddPinhole", { ...pinhole, InternalClient: STRANGER })).toBe(606);
      expect(await reach(lab, HOST, 8080)).not.toBeNull();
      const added = await call("AddPinhole", { ...pinhole, RemoteHost: FRIEND });
      if (typeof added === "number") throw new Error(`AddPinhole: ${added}`);
      const UniqueID = Number(added["UniqueID"]);
      expect(await call("AddPinhole", { ...pinhole, RemoteHost: FRIEND })).toEqual(added);
      expect(await reach(lab, HOST, 8080, FRIEND)).toBeNull();
      expect(await reach(lab, HOST, 8080, STRANGER)).not.toBeNull();
      // From anybody's port 40000, beside it.
      const byPort = await call("AddPinhole", { ...pinhole, RemotePort: 40_000 });
      expect(await lab.internet.refusedTcp({ host: HOST, port: 8080, from: STRANGER, fromPort: 40_000 })).toBeNull();
      expect(await call("UpdatePinhole", { UniqueID, NewLeaseTime: 1200 })).toEqual({});
      expect(await call("CheckPinholeWorking", { UniqueID })).toBe(401);
      expect(await call("DeletePinhole", { UniqueID })).toEqual({});
      expect(await call("DeletePinhole", { UniqueID })).toBe(704);
      expect(await reach(lab, HOST, 8080, FRIEND)).not.toBeNull();
      expect(byPort).not.toEqual(added);
      await removeAll(lab);
    } finally {
      await control.close();
    }
  },
);
