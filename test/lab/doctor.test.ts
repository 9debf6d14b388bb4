import { afterAll, beforeAll, describe, expect } from "vitest";
import type { DoctorDocument, FindingDocument } from "../../src/api/schemas/doctor.ts";
import { Firewalld } from "./firewalld.ts";
import { listForeignTables } from "./foreign-tables.ts";
import type { CliResult } from "./gateway.mjs";
import { eventually, type Lab, scenario } from "./lab.ts";
import { adminTable, cliOn, dockerLike, ownRuleset, Ufw } from "./other-firewalls.ts";
import { LAN_GATEWAY, WAN_GATEWAY, WAN_STRANGER } from "./topology.mjs";

/** Each runs the command line a dozen times. */
const TIMEOUT_MS = 240_000;

type Doctor = (...args: string[]) => Promise<CliResult>;

let before = "";
beforeAll(async () => {
  before = await ownRuleset();
});
afterAll(async () => {
  expect(await ownRuleset(), "the machine's own rules").toBe(before);
});

async function findings(doctor: Doctor): Promise<FindingDocument[]> {
  const { stdout } = await doctor("doctor", "--json");
  return (JSON.parse(stdout) as DoctorDocument).findings;
}

const dropped = (all: readonly FindingDocument[]) =>
  all.filter(({ check, level }) => check === "other-firewalls" && level === "problem");

/** A port of the client's, from the WAN; and what the client itself sends there. */
async function passes(lab: Lab): Promise<{ forwarded: boolean; outward: boolean }> {
  const forwarded = (await lab.internet.refusedTcp({ host: WAN_GATEWAY, port: 8080 })) === null;
  const outward = (await lab.client().refusedTcp({ host: WAN_STRANGER, port: 9090 })) === null;
  return { forwarded, outward };
}

/** Dropped, named, let pass by `--fix`, dropped again after `--unfix`: the tables of others are then what they were. */
async function mends(
  lab: Lab,
  doctor: Doctor,
  expected: { name: RegExp; place: string; count: number },
): Promise<void> {
  const client = lab.client();
  await client.listen({ tcp: [8080] });
  await lab.internet.listen({ tcp: [9090] });
  await lab.gateway.json("port", "add", "8080/tcp", client.address);
  expect(await passes(lab)).toEqual({ forwarded: false, outward: false });

  const sick = await doctor("doctor");
  expect(sick.code).toBe(8);
  expect(sick.stdout).toMatch(expected.name);
  expect(sick.stdout).toContain(expected.place);
  expect(dropped(await findings(doctor))).toHaveLength(expected.count);
  const unasked = await doctor("doctor", "--fix");
  expect(unasked, "it asks first").toMatchObject({ code: 2 });
  expect(await passes(lab)).toEqual({ forwarded: false, outward: false });

  const mended = await doctor("doctor", "--fix", "--yes");
  expect(mended, mended.stderr).toMatchObject({ code: 0 });
  expect(dropped(await findings(doctor))).toEqual([]);
  expect(await passes(lab)).toEqual({ forwarded: true, outward: true });
  // Not ours: sets of our guard hold who sent something just now.
  const theirs = await listForeignTables(lab.topology.gateway);
  expect((await doctor("doctor", "--fix", "--yes")).code, "a second time adds nothing").toBe(0);
  expect(await listForeignTables(lab.topology.gateway)).toEqual(theirs);

  const removed = await doctor("doctor", "--unfix", "--yes", "--json");
  expect(removed, removed.stderr).toMatchObject({ code: 0 });
  expect(await passes(lab)).toEqual({ forwarded: false, outward: false });
  // The scan needs what it looks at to be open.
  await doctor("doctor", "--fix", "--yes");
}

const unfix = async (doctor: Doctor): Promise<void> => {
  expect(await doctor("doctor", "--unfix", "--yes")).toMatchObject({ code: 0 });
};

describe("other firewalls", () => {
  const ufw = new Ufw();
  const firewalld = new Firewalld();
  afterAll(() => {
    ufw.close();
    firewalld.close();
  });
  const plain =
    (lab: Lab): Doctor =>
    (...args) =>
      cliOn(lab.gateway, args);
  const besideUfw =
    (lab: Lab): Doctor =>
    (...args) =>
      cliOn(lab.gateway, args, (...command) => ufw.exec(lab.topology.gateway, ...command));

  scenario(
    "[F7] names what ufw drops, adds exceptions that ufw keeps, and takes them back",
    {
      others: (gateway) => ufw.enable(gateway),
      restoreOthers: (lab) => unfix(besideUfw(lab)),
      needs: ["ufw", "iptables-nft"],
      timeoutMs: TIMEOUT_MS,
    },
    async (lab) => {
      const { gateway } = lab.topology;
      const doctor = besideUfw(lab);
      const request = { protocol: "udp", internalPort: 7000, suggestedPort: 7000, lifetime: 3600 } as const;
      expect(await lab.map(lab.client(), request, 1500), "port control is dropped").toBeNull();
      const place = "table ip filter, chain FORWARD: policy drop";
      await mends(lab, doctor, { name: /ufw drops what Portreeve forwards from wan0 to lan0/, place, count: 5 });

      await ufw.exec(gateway, "ufw", "reload");
      expect(dropped(await findings(doctor)), "they outlive a reload").toEqual([]);
      expect(await lab.map(lab.client(), request)).toMatchObject({ result: 0 });
      await lab.map(lab.client(), { ...request, lifetime: 0 });
    },
  );

  const besideFirewalld =
    (lab: Lab): Doctor =>
    (...args) =>
      cliOn(lab.gateway, args, (...command) => firewalld.exec(lab.topology.gateway, ...command));
  scenario(
    "[F7] names what firewalld drops, adds policies that it keeps, and takes them back",
    {
      others: (gateway) => firewalld.start(gateway),
      restoreOthers: async (lab) => {
        await unfix(besideFirewalld(lab));
        await firewalld.zone(lab.topology.gateway, "--remove-interface");
      },
      needs: ["firewalld", "dbus-daemon"],
      timeoutMs: TIMEOUT_MS,
    },
    async (lab) => {
      const doctor = besideFirewalld(lab);
      const client = lab.client();
      const request = { protocol: "tcp", internalPort: 8080, suggestedPort: 8080, lifetime: 3600 } as const;
      await client.listen({ tcp: [8080] });
      await lab.internet.listen({ tcp: [9090] });
      expect(await lab.map(client, request, 1000), "port control is rejected").toBeNull();
      expect(await passes(lab)).toEqual({ forwarded: false, outward: false });
      const unzoned = await findings(doctor);
      expect(dropped(unzoned).map(({ exception, fix }) => [exception, fix?.slice(0, 44)])).toEqual(
        Array.from({ length: 4 }, () => [null, "lan0 is in the same firewalld zone as wan0, "]),
      );

      await firewalld.zone(lab.topology.gateway, "--add-interface");
      const sick = await doctor("doctor");
      expect(sick.code).toBe(8);
      expect(sick.stdout).toContain("firewalld drops requests to port control on lan0 (5351/udp)");
      expect(sick.stdout).toContain("firewalld drops what devices send from lan0 out to wan0");
      expect(sick.stdout).toContain("firewall-cmd --permanent --policy=portreeve-in --add-port=5351/udp");

      const mended = await doctor("doctor", "--fix", "--yes");
      expect(mended, mended.stderr).toMatchObject({ code: 0 });
      expect(await lab.map(client, request)).toMatchObject({ result: 0 });
      expect(await passes(lab)).toEqual({ forwarded: true, outward: true });
      await firewalld.exec(lab.topology.gateway, "firewall-cmd", "--reload");
      expect(await passes(lab), "they outlive a reload").toEqual({ forwarded: true, outward: true });
    },
  );

  scenario(
    "[F7] names what Docker drops and adds its exceptions to DOCKER-USER",
    { others: dockerLike, restoreOthers: (lab) => unfix(plain(lab)), needs: ["iptables-nft"], timeoutMs: TIMEOUT_MS },
    async (lab) => {
      const place = "table ip filter, chain FORWARD: policy drop";
      const name = /Docker drops what Portreeve forwards from wan0 to lan0[^]*iptables-nft -I DOCKER-USER -m connmark/;
      await mends(lab, plain(lab), { name, place, count: 2 });
    },
  );

  const beside = { timeoutMs: TIMEOUT_MS, others: adminTable, restoreOthers: (lab: Lab) => unfix(plain(lab)) };
  scenario("[F7] names what an nftables table drops and adds its exceptions there", beside, async (lab) => {
    const place = "table inet filter, chain forward: policy drop";
    const name = /drops what Portreeve forwards from wan0 to lan0[^]*nft insert rule inet filter forward/;
    await mends(lab, plain(lab), { name, place, count: 5 });
  });

  scenario(
    "[A8] is content where nothing is wrong, and names who took our port",
    { timeoutMs: TIMEOUT_MS },
    async (lab) => {
      const doctor = plain(lab);
      const well = await doctor("doctor");
      expect(well.code, well.stdout).toBe(0);
      await lab.gateway.stop();
      const thief = lab.topology.gateway.spawn(
        [
          process.execPath,
          "-e",
          `require("dgram").createSocket("udp4").bind(5351, "${LAN_GATEWAY}", () => console.log("bound"))`,
        ],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      await new Promise((resolve) => thief.stdout?.once("data", resolve));
      try {
        await lab.gateway.start();
        await eventually(async () => {
          const { code, stdout } = await doctor("doctor");
          expect(code).toBe(8);
          expect(stdout).toContain(`port control on ${LAN_GATEWAY}:5351: taken by node (pid ${thief.pid})`);
        });
      } finally {
        thief.kill();
      }
      await lab.topology.gateway.exec("sysctl", "-w", "net.ipv4.ip_forward=0");
      const forgotten = await findings(doctor);
      expect(forgotten.find(({ check }) => check === "kernel-parameters")?.fix).toContain("net.ipv4.ip_forward=1");
      await lab.topology.gateway.exec("sysctl", "-w", "net.ipv4.ip_forward=1");
    },
  );
});
