import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { generateKeyPair, generatePresharedKey, textOf } from "../../src/adapters/wireguard/keys.ts";
import { totpCode, totpStep } from "../../src/api/auth/totp.ts";
import { loadMasterKey } from "../../src/events/master-key.ts";
import { openAll } from "../../src/events/secrets.ts";
import { Http } from "../torture/http.mjs";
import { backupText, Canaries } from "./canaries.ts";
import { eventually, type Lab, scenario } from "./lab.ts";
import { LAN_GATEWAY } from "./topology.mjs";
import { filesOf } from "./traces.mjs";
import { tunnelName } from "./tunnel.ts";

const URL_BASE = `https://${LAN_GATEWAY}:8351`;
const LISTEN = `${LAN_GATEWAY}:8351`;
/** In clear on purpose, wherever something can be said: what looks for canaries has to find these. */
const PLANTED = { said: "planted-5b0e77c1", environment: "planted-a14c09d2" };
const drawn = (bytes: number): string => randomBytes(bytes).toString("hex");
const PASSWORDS = {
  "the password": drawn(20),
  "the password before": drawn(20),
  "a password that is wrong": drawn(20),
  // Longer than one may be: who says what is wrong with it must not say it.
  "a password that is refused": drawn(150),
  "the passphrase of a backup": drawn(20),
};

describe("[I8] [F54] secrets", () => {
  const folder = mkdtempSync(join(tmpdir(), "portreeve-secrets-"));
  const tunnel = tunnelName();
  const file = (name: string, text?: string, mode = 0o600): string => {
    const path = join(folder, name);
    if (text !== undefined) writeFileSync(path, text, { mode });
    return path;
  };

  scenario(
    "of every kind that the product has are in no log, record, snapshot, export, answer, command line or environment",
    {
      needs: ["wg", "wireguard-go", "strace", "curl", "openssl"],
      timeoutMs: 180_000,
      config: { lan: [{ interface: "lan0" }], wireguard: { interface: tunnel } },
    },
    async (lab) => {
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const canaries = new Canaries();
      for (const [what, text] of Object.entries(PASSWORDS)) canaries.say(what, text);
      const traces = [file("exec-1"), file("exec-2")];
      const said = await restarted(lab, traces[0] as string, importedTls(file, canaries, tunnel));
      const { gateway } = lab;
      const http = new Http(gateway.socket);
      const answers = new Map<string, string>();
      await openSealed(lab, canaries, " of the first start");
      await importKeys(lab, canaries, file);
      await makeDevices(lab, http, canaries, answers);
      await makeAccount(lab, http, canaries, answers);
      await sayPlanted(lab, http);
      const backups = await backUp(lab, file);
      await snapshotAndRead(lab, http, answers);
      // The authority of our own is made once it is asked for, and sealed like the rest.
      gateway.configure({
        lan: [{ interface: "lan0" }],
        wireguard: { interface: tunnel },
        api: { listen: LISTEN, tls: "own-ca" },
      });
      const saidLater = await restarted(lab, traces[1] as string);
      const links = gateway.log.filter((line) => line.includes('"sign-in-link"'));
      await openSealed(lab, canaries, "");
      await readAll(http, answers, "later ");

      const places = new Map([
        ...answers,
        ...(await filesOf(gateway.dataDir)),
        ...(await filesOf(join(gateway.folder, "run"))),
        ["stdout", said.join("") + saidLater.join("")],
        // A link is said once, for the person who starts it the first time.
        ["log", gateway.log.filter((line) => !links.includes(line)).join("\n")],
        ["programs started", traces.map((path) => readFileSync(path, "utf8")).join("\n")],
        ["environment", readFileSync(`/proc/${gateway.pid}/environ`, "latin1")],
        ["command line", readFileSync(`/proc/${gateway.pid}/cmdline`, "latin1")],
        ...backups,
      ]);
      expect(canaries.names.sort()).toEqual(KINDS);
      expect(canaries.foundIn(places)).toEqual([]);

      // Each place was looked at: what is said in clear is found in all that repeats what was said.
      const planted = new Canaries();
      planted.say("said", PLANTED.said);
      planted.say("environment", PLANTED.environment);
      const found = planted.foundIn(places);
      for (const where of [
        "GET /api/v1/ports",
        "GET /api/v1/state",
        "GET /api/v1/events/export",
        "snapshot",
        "backup",
        "sealed backup",
        "portreeve port list",
      ]) {
        expect(found).toContain(`said in ${where}`);
      }
      const inLog = found.filter((each) => each.startsWith(`said in ${join(gateway.dataDir, "log")}/`));
      expect(inLog.some((each) => each.endsWith(".ldb, decoded"))).toBe(true);
      expect(found).toContain("environment in environment");
      expect(found).toContain("environment in programs started");
      expect(places.get("programs started")).toContain(tunnel);
      expect(places.get("log")).toContain('"msg":"ready"');
    },
  );
});

/** Words that the product calls its sealed secrets by. */
const SEALED = ["ca-key", "password", "token", "totp", "wireguard-key", "wireguard-psk"];

/** Every secret of the product, by what it is. A new one belongs here. */
const KINDS = [
  ...Object.keys(PASSWORDS),
  "a device's private key",
  "a device's private key before",
  "a device's preshared key",
  "a device's preshared key before",
  "a device's DNS key",
  "a device's DNS key before",
  "an imported private key",
  "an imported preshared key",
  "a key that is refused",
  "the gateway's own key, imported",
  "a token",
  "a sign-in link",
  "a code's secret",
  "a session's cookie",
  "the imported TLS key",
  "the master key",
  ...SEALED.map((kind) => `a sealed ${kind}`),
  ...["sign-in-link", "wireguard-key"].map((kind) => `a sealed ${kind} of the first start`),
].sort();

/** Started anew under strace, which writes down each program it starts, with arguments and environment. */
async function restarted({ gateway, topology }: Lab, trace: string, config?: object): Promise<string[]> {
  const said: string[] = [];
  await gateway.stop();
  if (config !== undefined) gateway.configure({ ...config });
  const strace = [
    "strace",
    "-D",
    "-f",
    "-qq",
    "--seccomp-bpf",
    "-v",
    "-s",
    "100000",
    "-e",
    "trace=execve",
    "-o",
    trace,
  ];
  gateway.host = {
    ...topology.gateway,
    spawn: (command, options) => {
      const child = topology.gateway.spawn([...strace, ...command], { ...options, stdio: ["ignore", "pipe", "pipe"] });
      child.stdout?.setEncoding("latin1").on("data", (piece: string) => said.push(piece));
      return child;
    },
  };
  await gateway.start({ LAB_PLANTED: PLANTED.environment });
  gateway.host = topology.gateway;
  return said;
}

function importedTls(file: (name: string) => string, canaries: Canaries, tunnel: string): object {
  const [certificate, key] = [file("tls.pem"), file("tls.key")];
  const made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", [...made, "-subj", "/CN=lab", "-keyout", key, "-out", certificate], { stdio: "pipe" });
  canaries.key("the imported TLS key", bodyOf(readFileSync(key, "utf8")));
  return {
    lan: [{ interface: "lan0" }],
    wireguard: { interface: tunnel },
    api: { listen: LISTEN, tls: { certificate, key } },
  };
}

/** A PEM's Base64 in one piece. The first 50 bytes of a P-256 key say only that it is one (RFC 5208, RFC 5915). */
const bodyOf = (pem: string): string =>
  Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64")
    .subarray(36, 68)
    .toString("base64");

type File = (name: string, text?: string, mode?: number) => string;

async function importKeys({ gateway, topology }: Lab, canaries: Canaries, file: File): Promise<void> {
  const [server, phone, preSharedKey] = [generateKeyPair(), generateKeyPair(), textOf(generatePresharedKey())];
  const client = {
    name: "phone",
    address: "10.8.0.2",
    privateKey: textOf(phone.privateKey),
    publicKey: phone.publicKey,
  };
  const dump = {
    server: { privateKey: textOf(server.privateKey), address: "10.8.0.1" },
    clients: { a: { ...client, preSharedKey } },
  };
  canaries.key("the gateway's own key, imported", dump.server.privateKey);
  canaries.key("an imported private key", client.privateKey);
  canaries.key("an imported preshared key", preSharedKey);
  const path = file("wg0.json", JSON.stringify(dump));
  await ok(gateway.cli("import", "wg-easy", path), 10);
  await ok(gateway.cli("import", "wg-easy", path, "--apply"));
  await eventually(async () => expect(await topology.gateway.exec("wg", "show")).toContain(server.publicKey));
}

async function makeDevices(
  { gateway }: Lab,
  http: Http,
  canaries: Canaries,
  answers: Map<string, string>,
): Promise<void> {
  const refused = textOf(generateKeyPair().privateKey);
  canaries.key("a key that is refused", refused);
  const declaration = {
    name: "x",
    subnets: [],
    devices: [{ name: "y", subnet: "home", publicKey: generateKeyPair().publicKey }],
    ports: [],
  };
  const body = { declaration, keys: { y: { privateKey: refused, presharedKey: null } } };
  const mismatch = await http.post("/api/v1/declaration", body, { "idempotency-key": "mismatch" });
  expect(mismatch.status).toBe(400);
  const half = { ...body, keys: { y: { privateKey: refused.slice(2), presharedKey: refused } } };
  const malformed = await http.post("/api/v1/declaration", half, {});
  expect(malformed.status).toBe(400);
  await ok(gateway.cli("device", "add", "nas", "--kind", "server", "--subnet", "home"));
  const keysOf = async (when: string) => {
    const { text } = (await http.get("/api/v1/devices/nas/config")).document as { text: string };
    canaries.key(`a device's private key${when}`, /^PrivateKey = (\S+)$/m.exec(text)?.[1] ?? "");
    canaries.key(`a device's preshared key${when}`, /^PresharedKey = (\S+)$/m.exec(text)?.[1] ?? "");
    const { secret } = (await http.post("/api/v1/devices/nas/dns-key", null, {})).document as { secret: string };
    canaries.key(`a device's DNS key${when}`, secret);
  };
  await keysOf(" before");
  const rekeyed = await http.post("/api/v1/devices/nas/rekey?dryRun=true", null, {});
  note(answers, "plan of rekey", rekeyed.document);
  note(answers, "rekey", (await http.post("/api/v1/devices/nas/rekey", null, { "idempotency-key": "rekey" })).document);
  await keysOf("");
  for (const [name, { document }] of Object.entries({ mismatch, malformed })) note(answers, name, document);
}

async function makeAccount(lab: Lab, http: Http, canaries: Canaries, answers: Map<string, string>): Promise<void> {
  const post = async (path: string, body: object | null, status: number) => {
    const answer = await http.post(`/api/v1${path}`, body, { "idempotency-key": `${path}-${answers.size}` });
    expect(answer.status, `${path}: ${JSON.stringify(answer.document)}`).toBe(status);
    return answer.document;
  };
  const link = (await post("/sign-in-link", null, 201)) as { url: string };
  canaries.say("a sign-in link", link.url.split("#")[1] ?? "");
  note(answers, "password before", await post("/password", { password: PASSWORDS["the password before"] }, 200));
  note(answers, "password", await post("/password", { password: PASSWORDS["the password"] }, 200));
  note(
    answers,
    "refused password",
    await post("/password", { password: PASSWORDS["a password that is refused"] }, 400),
  );
  const enrolment = (await post("/totp/enrolment", null, 200)) as { secret: string };
  const secret = fromBase32(enrolment.secret);
  canaries.say("a code's secret", enrolment.secret, secret);
  const code = totpCode(secret, totpStep(Date.now()));
  note(answers, "totp", await post("/totp", { code }, 200));
  const token = (await post("/tokens", { name: "ci", scopes: ["admin"], lifetime: 3600 }, 201)) as { secret: string };
  canaries.say("a token", token.secret.slice(-43));
  const host = lab.topology.clients[0];
  if (host === undefined) throw new Error("the lab has no client");
  const curl = async (path: string, ...args: string[]) =>
    await host.exec("curl", "-sk", "-D", "-", "-H", "Content-Type: application/json", ...args, `${URL_BASE}${path}`);
  const signIn = (password: string, given: string | null) =>
    curl("/api/v1/sessions", "-d", JSON.stringify({ password, code: given }));
  // A code that was seen is worth nothing: the one of the next step is, a little ahead of time.
  const signedIn = await signIn(PASSWORDS["the password"], totpCode(secret, totpStep(Date.now()) + 1));
  expect(signedIn).toContain("201");
  canaries.say("a session's cookie", /^set-cookie: [^=]+=([\w-]{43})/im.exec(signedIn)?.[1] ?? "");
  answers.set("wrong password", await signIn(PASSWORDS["a password that is wrong"], code));
  const bearer = ["-H", `Authorization: Bearer ${token.secret}`];
  answers.set("status by a token", await curl("/api/v1/status", ...bearer));
  answers.set("no such path", await curl(`/api/v1/nothing?token=${PLANTED.said}`, ...bearer));
  answers.set("a token that is none", await curl("/api/v1/status", "-H", `Authorization: Bearer ${token.secret}x`));
}

/** What an operator says, in each kind of place where his words are kept. */
async function sayPlanted(lab: Lab, http: Http): Promise<void> {
  const port = { protocol: "tcp", externalPort: 8443, internalAddress: lab.client().address, label: PLANTED.said };
  expect((await http.post("/api/v1/ports", port, {})).status).toBe(201);
}

async function backUp({ gateway }: Lab, file: File): Promise<[string, string][]> {
  const passphrase = file("passphrase", `${PASSWORDS["the passphrase of a backup"]}\n`);
  const [plain, sealed] = [file("plain.backup"), file("sealed.backup")];
  const config = ["--config", gateway.configFile];
  const said = [
    await ok(gateway.cli("backup", plain, ...config)),
    await ok(gateway.cli("backup", sealed, ...config, "--passphrase-file", passphrase)),
  ];
  return [
    ["backup", backupText(plain)],
    ["sealed backup", backupText(sealed)],
    ["portreeve backup", said.join("")],
  ];
}

async function snapshotAndRead({ gateway }: Lab, http: Http, answers: Map<string, string>): Promise<void> {
  expect((await http.post("/api/v1/snapshots", null, {})).status).toBe(201);
  const [newest] = (await http.get("/api/v1/snapshots")).document as { seq: number }[];
  note(answers, "snapshot", (await http.get(`/api/v1/snapshots/${newest?.seq}`)).document);
  await readAll(http, answers, "");
  for (const line of ["port list", "device list", "token list", "session list", "status"]) {
    const { stdout, stderr } = await gateway.cli(...line.split(" "));
    answers.set(`portreeve ${line}`, stdout + stderr);
  }
  for (const line of [["config", "show", "--config", gateway.configFile], ["events", "export"], ["doctor"]])
    answers.set(`portreeve ${line[0]}`, (await gateway.cli(...line)).stdout);
}

/** Every address of the API's own description that can be read without naming something, but for the endless one. */
async function readAll(http: Http, answers: Map<string, string>, when: string): Promise<void> {
  const described = (await http.get("/openapi.json")).document as { paths: Record<string, { get?: object }> };
  const paths = Object.entries(described.paths).flatMap(([path, { get }]) => (get === undefined ? [] : [path]));
  const readable = paths.filter((path) => !path.includes("{") && !path.endsWith("/stream"));
  expect(readable.length).toBeGreaterThan(15);
  const named = [
    "/api/v1/devices/nas",
    "/api/v1/subnets/home",
    "/api/v1/why/device/nas",
    "/api/v1/devices/nas?dryRun=true",
  ];
  for (const path of [...readable, ...named, "/api/v1/events?limit=10000", "/openapi.json"])
    note(answers, `${when}GET ${path}`, (await http.get(path)).document);
}

/** Everything that is sealed, shown to somebody or not: opened with the master key, from beside the daemon. */
async function openSealed({ gateway }: Lab, canaries: Canaries, when: string): Promise<void> {
  const masterKey = await loadMasterKey(join(gateway.folder, "master.key"), false);
  const whole = Buffer.from(masterKey.expose());
  canaries.say("the master key", whole.toString("hex"), whole);
  for await (const { kind, material } of openAll(gateway.dataDir, masterKey)) {
    const text = Buffer.from(material.expose()).toString("latin1");
    const what = `a sealed ${kind}${when}`;
    if (text.includes("PRIVATE KEY")) canaries.key(what, bodyOf(text));
    // The rest of it is how it is hashed, which backups say of their lock as well.
    else if (kind === "password") canaries.say(what, (JSON.parse(text) as { hash: string }).hash);
    else canaries.say(what, text, Buffer.from(text, "latin1"));
  }
}

const note = (answers: Map<string, string>, name: string, document: unknown): void =>
  void answers.set(name, typeof document === "string" ? document : JSON.stringify(document));

async function ok(running: Promise<{ code: number; stdout: string; stderr: string }>, code = 0): Promise<string> {
  const result = await running;
  expect(result, result.stderr).toMatchObject({ code });
  return result.stdout + result.stderr;
}

function fromBase32(text: string): Buffer {
  const bits = Array.from(text, (letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
  );
  const bytes = bits.join("").match(/.{8}/g) ?? [];
  return Buffer.from(bytes.map((eight) => Number.parseInt(eight, 2)));
}
