import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DnsRecordText, DnsUpdate } from "../../src/lib/dns-record.ts";
import { parseName } from "../../src/lib/domain-name.ts";
import { CLASS, OPCODE, RCODE, TYPE, typeNumber } from "../../src/protocols/dns/constants.ts";
import { decodeMessage } from "../../src/protocols/dns/decode.ts";
import { encodeMessage } from "../../src/protocols/dns/encode.ts";
import type { DnsRecord, Message, OpenMessage } from "../../src/protocols/dns/message.ts";
import { recordFromText, recordText } from "../../src/protocols/dns/rdata/index.ts";
import { signRequest, type TsigKey, tsigKey, type Verification, verifyResponse } from "../../src/protocols/dns/tsig.ts";
import { keyTexts } from "../../src/protocols/dns/tsig-key.ts";
import { verifyStream } from "../../src/protocols/dns/tsig-stream.ts";
import { Driver } from "./driver.ts";
import { eventually } from "./lab.ts";
import { createTopology, findProgram, missingForLab, type Topology } from "./topology.mjs";

const NEEDS = ["named", "nsupdate", "dig", "knsupdate", "kdig"];
const [NAMED_PORT, OURS_PORT, LATE_PORT] = [15301, 15302, 15303];
const ZONE = "example.test";
const KEY = name("dev1.gw.test");
const SECRET = Uint8Array.from({ length: 32 }, (_, index) => 7 * index + 1);
const TEXTS = keyTexts(KEY, SECRET, "127.0.0.1");
const STRANGER = keyTexts(name("dev2.gw.test"), SECRET, "127.0.0.1");
const FORGER = keyTexts(KEY, new Uint8Array(32).fill(1), "127.0.0.1");

function name(text: string): NonNullable<ReturnType<typeof parseName>> {
  const parsed = parseName(text);
  if (parsed === null) throw new Error(`${text} is no name`);
  return parsed;
}

class DnsPeer extends Driver {
  askUdp = (port: number, bytes: string): Promise<string[]> => this.call("askUdp", { port, bytes });
  askTcp = (port: number, bytes: string, messages: number): Promise<string[]> =>
    this.call("askTcp", { port, bytes, messages });
  serve = (port: number, clock: number): Promise<void> =>
    this.call("serve", {
      port,
      clock,
      key: "dev1.gw.test",
      secret: Buffer.from(SECRET).toString("base64"),
      zone: ZONE,
    });
  heard = (): Promise<DnsUpdate[]> => this.call("heard");
}

const missing = missingForLab() ?? NEEDS.find((program) => findProgram(program) === null) ?? null;

describe.skipIf(missing !== null)("TSIG and messages, with programs that share no code with us", () => {
  let topology: Topology;
  let peer: DnsPeer;
  let folder = "";
  const log: string[] = [];
  const file = (base: string): string => join(folder, base);
  const run = (program: string, ...args: string[]): Promise<string> => topology.gateway.exec(program, ...args);

  beforeAll(async () => {
    topology = await createTopology({ clients: 0 });
    folder = await mkdtemp(join(tmpdir(), "prl-dns-"));
    const keys = { key: TEXTS.bindFile, stranger: STRANGER.bindFile, forger: FORGER.bindFile, knot: TEXTS.option };
    for (const [base, text] of Object.entries(keys)) await writeFile(file(base), text, { mode: 0o600 });
    await writeFile(file("zone"), zoneFile());
    await writeFile(file("named.conf"), namedConfiguration(folder));
    const named = topology.gateway.spawn(["named", "-g", "-n", "1", "-U", "1", "-c", file("named.conf")]);
    for (const stream of [named.stdout, named.stderr]) stream?.on("data", (data: Buffer) => log.push(data.toString()));
    peer = new DnsPeer(topology.gateway, "dns-peer.mjs", []);
    await Promise.all([peer.serve(OURS_PORT, 0), peer.serve(LATE_PORT, 1000)]);
    await eventually(async () => expect(log.join("")).toMatch(/\brunning\n/), 15_000);
  }, 30_000);
  afterAll(async () => {
    await peer?.close();
    await topology?.close();
    if (folder !== "") await rm(folder, { recursive: true, force: true });
  });

  const now = (): number => Math.floor(Date.now() / 1000);
  const ours = tsigKey(KEY.key, SECRET);

  /** What named answers, and what we make of its signature. */
  async function ask(
    message: Message,
    { key = ours, at = now(), octets = 32 } = {},
  ): Promise<OpenMessage & { verdict: Verification }> {
    const cut: TsigKey = { name: key.name, mac: (data) => key.mac(data).slice(0, octets) };
    const asked = signRequest(encodeMessage(message), cut, at);
    const [answer = ""] = await peer.askUdp(NAMED_PORT, toHex(asked.bytes));
    const bytes = Buffer.from(answer, "hex");
    const open = decodeMessage(bytes);
    return { ...open, verdict: verifyResponse(bytes, open.tsig, { key, mac: asked.mac }, at) };
  }

  it("[dns T3 T4 T7] named takes what we sign, and we what it signs", async () => {
    const { message, verdict } = await ask(query(ZONE, TYPE.SOA));
    expect(verdict.kind).toBe("verified");
    expect(message).toMatchObject({ rcode: RCODE.NOERROR, authoritative: true });
    expect(message.answers.map(recordText)).toMatchObject([
      { name: ZONE, type: "SOA", value: "ns1.example.test admin.example.test 500 3600 600 86400 60" },
    ]);
  });

  it("[dns T8 T9 T10 T11] named refuses as we do", async () => {
    const refusal = async (how: Parameters<typeof ask>[1]): Promise<unknown> => {
      const { message, tsig, verdict } = await ask(query(ZONE, TYPE.SOA), how);
      return [message.rcode, tsig?.error, tsig?.mac.length, tsig?.otherData.length, verdict.kind];
    };
    const stranger = tsigKey(name("dev2.gw.test").key, SECRET);
    const forger = tsigKey(KEY.key, new Uint8Array(32).fill(1));
    expect(await refusal({ key: stranger })).toEqual([RCODE.NOTAUTH, 17, 0, 0, "failed"]);
    expect(await refusal({ key: forger })).toEqual([RCODE.NOTAUTH, 16, 0, 0, "failed"]);
    expect(await refusal({ at: now() - 1000 })).toEqual([RCODE.NOTAUTH, 18, 32, 6, "verified"]);
    expect(await refusal({ octets: 16 })).toEqual([RCODE.NOTAUTH, 22, 32, 0, "verified"]);
  });

  it("[dns W9 U13 U16] values of each type reach named in an UPDATE and come back as they were", async () => {
    const records = VALUES.map(([type, value]) => ({ name: `values.${ZONE}`, type, ttl: 60, value }));
    const added = await ask(update([], records.map(recordFromText)));
    expect([added.message.rcode, added.verdict.kind]).toEqual([RCODE.NOERROR, "verified"]);
    for (const { type, value } of records) {
      const { message, verdict } = await ask(query(`values.${ZONE}`, typeNumber(type) as number));
      expect(verdict.kind).toBe("verified");
      expect(message.answers.map(recordText)).toContainEqual({ name: `values.${ZONE}`, type, ttl: 60, value });
    }
    // The same set as a prerequisite: each value of it is what named has.
    const same = records.filter(({ type }) => type === "TXT").map((each) => recordFromText({ ...each, ttl: 0 }));
    expect((await ask(update(same, []))).message.rcode).toBe(RCODE.NOERROR);
    expect((await ask(update(same.slice(1), []))).message.rcode).toBe(RCODE.NXRRSET);
  });

  it("[dns T6] we verify a transfer of several messages of named's", async () => {
    const asked = signRequest(encodeMessage(query(ZONE, TYPE.AXFR)), ours, now());
    const answers = await peer.askTcp(NAMED_PORT, toHex(asked.bytes), 3);
    const check = verifyStream({ key: ours, mac: asked.mac });
    const verdicts = answers.map((answer) => {
      const bytes = Buffer.from(answer, "hex");
      return check(bytes, decodeMessage(bytes).tsig, now());
    });
    expect(verdicts.length).toBeGreaterThanOrEqual(3);
    expect(verdicts.every((verdict) => verdict !== "too-many-unsigned" && verdict.kind === "verified")).toBe(true);
  });

  it("[dns T6] dig verifies a transfer of ours, and sees when a message of it is not what was signed", async () => {
    const axfr = (qid: string): Promise<string> =>
      run("dig", "@127.0.0.1", "-p", String(OURS_PORT), `+qid=${qid}`, "-k", file("key"), ZONE, "AXFR");
    const whole = await axfr("2");
    expect(whole).toMatch(/XFR size: 42 records \(messages 3,/);
    expect(whole).not.toMatch(/verify failure|Couldn't verify/);
    const changed = await axfr("3").catch(
      (error: { stdout?: string; stderr?: string }) => `${error.stdout}${error.stderr}`,
    );
    expect(changed).toMatch(/tsig verify failure|Couldn't verify signature/);
  });

  it("[dns W11 T16] nsupdate and knsupdate are answered, over UDP and TCP, and ask for what they were told to", async () => {
    const commands = [
      `server 127.0.0.1 ${OURS_PORT}`,
      `zone ${ZONE}`,
      `prereq nxrrset h1.${ZONE}. A`,
      `update delete h1.${ZONE}. TXT`,
      `update add h1.${ZONE}. 60 A 10.0.0.1`,
      "send",
    ];
    await writeFile(file("commands"), `${commands.join("\n")}\n`);
    await run("nsupdate", "-k", file("key"), file("commands"));
    await run("nsupdate", "-v", "-k", file("key"), file("commands"));
    await run("knsupdate", "-k", file("knot"), file("commands"));
    await run("knsupdate", "-v", "-k", file("knot"), file("commands"));
    const asked: DnsUpdate = {
      zone: ZONE,
      prerequisites: [{ kind: "rrset-absent", name: `h1.${ZONE}`, type: "A" }],
      changes: [
        { kind: "delete-rrset", name: `h1.${ZONE}`, type: "TXT" },
        { kind: "add", name: `h1.${ZONE}`, type: "A", ttl: 60, value: "10.0.0.1" },
      ],
      lease: null,
    };
    expect(await peer.heard()).toEqual([asked, asked, asked, asked]);
    const kdig = await run("kdig", "@127.0.0.1", "-p", String(OURS_PORT), "-k", file("knot"), ZONE, "SOA");
    expect(kdig).toMatch(/status: NOERROR/);
    expect(kdig).not.toMatch(/WARNING/);
  });

  it.each([
    ["stranger", OURS_PORT, "NOTAUTH(BADKEY)"],
    ["forger", OURS_PORT, "NOTAUTH(BADSIG)"],
    ["key", LATE_PORT, "NOTAUTH(BADTIME)"],
  ])("[dns T8 T9 T10] nsupdate says of the key of %s at port %i: %s", async (base, port, said) => {
    const commands = [`server 127.0.0.1 ${port}`, `zone ${ZONE}`, `update add h2.${ZONE}. 60 A 10.0.0.1`, "send"];
    await writeFile(file("refused"), `${commands.join("\n")}\n`);
    const refused = await run("nsupdate", "-k", file(base), file("refused")).then(
      () => "it was taken",
      (error: { stderr?: string }) => error.stderr ?? "",
    );
    expect(refused).toContain(said);
    expect(await peer.heard()).toEqual([]);
  });
});

/** Of each type whose form we know, and of one that nobody does; what may be at one name. */
const VALUES: readonly (readonly [string, string])[] = [
  ["A", "10.0.0.1"],
  ["AAAA", "2001:db8::1"],
  ["MX", "10 Mail.example.test"],
  ["TXT", '"a b" "c\\"\\\\\\000\\255"'],
  ["TXT", '"second"'],
  ["SRV", "0 5 443 host.example.test"],
  ["PTR", "host.example.test"],
  ["CAA", '128 issue "ca.example"'],
  ["SVCB", '1 . alpn="h2" port=8443'],
  [
    "HTTPS",
    '1 host.example.test mandatory=alpn,port alpn="h2,f\\\\,o" port=443 ipv4hint=10.0.0.1 ipv6hint=2001:db8::1 key700="\\001x"',
  ],
  ["TYPE65280", "\\# 3 00ff10"],
];

function query(owner: string, type: number): Message {
  return {
    id: Math.floor(Math.random() * 0x1_0000),
    response: false,
    opcode: OPCODE.QUERY,
    authoritative: false,
    truncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name: name(owner), type, class: CLASS.IN }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: null,
  };
}

function update(answers: readonly DnsRecord[], authorities: readonly DnsRecord[]): Message {
  return { ...query(ZONE, TYPE.SOA), opcode: OPCODE.UPDATE, answers, authorities };
}

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function zoneFile(): string {
  const hosts: DnsRecordText[] = Array.from({ length: 60 }, (_, index) => ({
    name: `host-${index}.${ZONE}`,
    type: "A",
    ttl: 60,
    value: `10.1.0.${index}`,
  }));
  return [
    `$ORIGIN ${ZONE}.`,
    "@ 300 IN SOA ns1 admin 500 3600 600 86400 60",
    "@ 300 IN NS ns1",
    "ns1 300 IN A 127.0.0.1",
    ...hosts.map(({ name: owner, ttl, type, value }) => `${owner}. ${ttl} IN ${type} ${value}`),
    "",
  ].join("\n");
}

function namedConfiguration(folder: string): string {
  return `${TEXTS.bindFile}
options {
  directory "${folder}";
  pid-file none;
  session-keyfile "${folder}/session.key";
  listen-on port ${NAMED_PORT} { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  notify no;
  allow-transfer { key dev1.gw.test; };
  transfer-message-size 512;
  empty-zones-enable no;
};
controls { };
zone "${ZONE}" { type primary; file "zone"; check-integrity no; update-policy { grant dev1.gw.test zonesub ANY; }; };
`;
}
