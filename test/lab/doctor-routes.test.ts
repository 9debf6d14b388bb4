import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import type { DoctorDocument } from "../../src/api/schemas/doctor.ts";
import { REDIRECT_PORT, TLS_PORT } from "../../src/lib/proxy-ports.ts";
import { Firewalld } from "./firewalld.ts";
import { listForeignTables } from "./foreign-tables.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { adminTable, cliOn, inputDropped, ownRuleset, Ufw } from "./other-firewalls.ts";
import { makeCertificate, SniBackend } from "./sni-lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

const TIMEOUT_MS = 240_000;
const NAME = "a.example.org";
const OPEN = { route: "host0", redirect: "308" };
const CLOSED = { route: "", redirect: "000" };

let before = "";
beforeAll(async () => {
  before = await ownRuleset();
});
afterAll(async () => {
  expect(await ownRuleset(), "the machine's own rules").toBe(before);
});

/** A program on the gateway, where it sees the other firewall. */
type By = (...command: string[]) => Promise<string>;

async function curl(lab: Lab, port: number, url: string, ...more: string[]): Promise<string> {
  const options = ["-sk", "--max-time", "1", "--resolve", `${NAME}:${port}:${WAN_GATEWAY}`, ...more];
  return await lab.topology.internet
    .exec("curl", ...options, url)
    .catch((error: { stdout?: string }) => error.stdout ?? "");
}

/** What a visitor of the internet gets: whom by name, and what where HTTP is asked for. */
async function visited(lab: Lab): Promise<typeof OPEN> {
  const [said, redirect] = await Promise.all([
    curl(lab, 443, `https://${NAME}/`),
    curl(lab, 80, `http://${NAME}/`, "-o", "/dev/null", "-w", "%{http_code}"),
  ]);
  return { route: said === "" ? "" : (JSON.parse(said) as { name: string }).name, redirect };
}

/** HAProxy's own ports, by whoever asks for them and not for a shared one. */
async function expectLocalPortsClosed(lab: Lab): Promise<void> {
  const ports = [TLS_PORT, REDIRECT_PORT];
  const refused = await Promise.all(ports.map((port) => lab.internet.refusedTcp({ host: WAN_GATEWAY, port })));
  expect(refused, "HAProxy's local ports, directly").toEqual([expect.any(String), expect.any(String)]);
}

/** What is said to be dropped on the way to HAProxy and back. */
async function droppedRoutes(lab: Lab, by: By): Promise<string[]> {
  const { stdout } = await cliOn(lab.gateway, ["doctor", "--json"], by);
  const { findings } = JSON.parse(stdout) as DoctorDocument;
  const found = findings.filter(({ exception }) => ["proxied", "answers"].includes(exception?.allow.kind ?? ""));
  return found.flatMap(({ message, details, exception }) => [message, ...details, ...(exception?.commands ?? [])]);
}

/** With a route to its first client, and so the redirect. */
async function withRoute(lab: Lab, body: () => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-doctor-routes-"));
  makeCertificate(folder, "host0");
  const backend = new SniBackend(lab.topology.clients[0] as Lab["topology"]["internet"], "host0", folder);
  try {
    await backend.dialled();
    const added = await lab.gateway.cli("route", "add", NAME, lab.client().address);
    expect(added, added.stderr).toMatchObject({ code: 0 });
    await body();
  } finally {
    await backend.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Dropped, named by rule, let pass by `--fix`, dropped again after `--unfix`; never open but by the shared ports. */
async function mends(
  lab: Lab,
  by: By,
  place: string,
  commands: readonly RegExp[],
  reload: () => Promise<unknown> = async () => undefined,
): Promise<void> {
  const { gateway } = lab;
  const doctor = (...args: string[]) => cliOn(gateway, ["doctor", ...args], by);
  await withRoute(lab, async () => {
    expect(await visited(lab)).toEqual(CLOSED);
    await expectLocalPortsClosed(lab);
    const said = (await droppedRoutes(lab, by)).join("\n");
    expect(said).toContain("drops what is for TLS routes");
    expect(said).toContain("drops what is to be sent to HTTPS");
    expect(said).toContain(place);
    for (const command of commands) expect(said).toMatch(command);

    const mended = await doctor("--fix", "--yes");
    expect(mended, mended.stderr).toMatchObject({ code: 0 });
    await reload();
    expect(await droppedRoutes(lab, by)).toEqual([]);
    expect(await visited(lab)).toEqual(OPEN);
    await expectLocalPortsClosed(lab);
    const theirs = await listForeignTables(lab.topology.gateway);
    expect((await doctor("--fix", "--yes")).code, "a second time adds nothing").toBe(0);
    expect(await listForeignTables(lab.topology.gateway)).toEqual(theirs);

    expect(await doctor("--unfix", "--yes")).toMatchObject({ code: 0 });
    expect(await visited(lab)).toEqual(CLOSED);
    await expectLocalPortsClosed(lab);

    expect(await gateway.cli("route", "remove", NAME, "--yes")).toMatchObject({ code: 0 });
    await eventually(async () => expect(await droppedRoutes(lab, by), "nothing is shared any more").toEqual([]));
  });
  // The scan needs what it looks at to be open.
  expect(await doctor("--fix", "--yes")).toMatchObject({ code: 0 });
}

const plain =
  (lab: Lab): By =>
  (program = "", ...rest) =>
    lab.topology.gateway.exec(program, ...rest);

const unfix = async (lab: Lab, by: By): Promise<void> => {
  expect(await cliOn(lab.gateway, ["doctor", "--unfix", "--yes"], by)).toMatchObject({ code: 0 });
};

const options = (by: (lab: Lab) => By, others: (gateway: Lab["topology"]["gateway"]) => Promise<void>) => ({
  others,
  restoreOthers: (lab: Lab) => unfix(lab, by(lab)),
  timeoutMs: TIMEOUT_MS,
});
const NEEDS = ["haproxy", "curl", "openssl"];

describe("what HAProxy takes, beside other firewalls", () => {
  const [ufw, firewalld] = [new Ufw(), new Firewalld()];
  afterAll(() => {
    ufw.close();
    firewalld.close();
  });

  const besideUfw =
    (lab: Lab): By =>
    (...command) =>
      ufw.exec(lab.topology.gateway, ...command);
  scenario(
    "[F5] [F6] [F7] what ufw drops on its way to routes and the redirect is named, let in as far as it came by a shared port, and kept by ufw",
    { ...options(besideUfw, (gateway) => ufw.enable(gateway)), needs: [...NEEDS, "ufw", "iptables-nft"] },
    async (lab) => {
      const by = besideUfw(lab);
      const rule = /-A ufw-before-input -p tcp -m tcp --dport 60443 -m conntrack --ctstate DNAT -m connmark --mark/;
      await mends(lab, by, "table ip filter, chain INPUT: policy drop", [rule], () => by("ufw", "reload"));
    },
  );

  scenario(
    "[F5] [F6] [F7] what an nftables table's policy drops on its way to routes and the redirect is named and let in",
    { ...options(plain, adminTable), needs: NEEDS },
    async (lab) => {
      const rule =
        /nft insert rule inet filter input 'ct mark & 0x01000000 == 0x01000000 ct status dnat tcp dport 60443 accept/;
      await mends(lab, plain(lab), "table inet filter, chain input: policy drop", [rule]);
    },
  );

  scenario(
    "[F5] [F6] [F7] where iptables lets in nothing at all, not even answers, what routes need is named and let in",
    { ...options(plain, inputDropped), needs: [...NEEDS, "iptables-nft"] },
    async (lab) => {
      const answers = /iptables-nft -I INPUT -i lan0 -p tcp -m conntrack --ctstate ESTABLISHED --ctdir REPLY/;
      const redirected = /iptables-nft -I INPUT -p tcp -m tcp --dport 60080 -m conntrack --ctstate DNAT -m connmark/;
      await mends(lab, plain(lab), "table ip filter, chain INPUT: policy drop", [answers, redirected]);
    },
  );

  const besideFirewalld =
    (lab: Lab): By =>
    (...command) =>
      firewalld.exec(lab.topology.gateway, ...command);
  scenario(
    "[F5] [F6] [F7] firewalld lets in what came by a shared port, and nothing is said of it",
    {
      ...options(besideFirewalld, (gateway) => firewalld.start(gateway)),
      restoreOthers: async (lab) => {
        await unfix(lab, besideFirewalld(lab));
        await firewalld.zone(lab.topology.gateway, "--remove-interface");
      },
      needs: [...NEEDS, "firewalld", "dbus-daemon"],
    },
    async (lab) => {
      const by = besideFirewalld(lab);
      await firewalld.zone(lab.topology.gateway, "--add-interface");
      await withRoute(lab, async () => {
        expect(await visited(lab)).toEqual(OPEN);
        await expectLocalPortsClosed(lab);
        expect(await droppedRoutes(lab, by)).toEqual([]);
        expect(await lab.gateway.cli("route", "remove", NAME, "--yes")).toMatchObject({ code: 0 });
      });
      expect(await cliOn(lab.gateway, ["doctor", "--fix", "--yes"], by)).toMatchObject({ code: 0 });
    },
  );
});
