import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished } from "vitest";
import { scenario } from "./lab.ts";
import { LAN_GATEWAY } from "./topology.mjs";
import { tunnelName } from "./tunnel.ts";

const PASSWORD = "canary-4f1c a long password";
const URL_BASE = `https://${LAN_GATEWAY}:8351`;
const config = {
  wireguard: { interface: tunnelName() },
  api: { listen: `${LAN_GATEWAY}:8351`, tls: "own-ca", hosts: ["gw.home.arpa"] },
};

/** What every file of a directory holds, one after the other. */
function everythingIn(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), "latin1")).join("\n");
}

describe("an account", () => {
  scenario(
    "[A3] [A10] from the one-time link to a token with curl, over TLS with the downloaded authority; a kill changes nothing",
    { config, needs: ["curl", "openssl", "wg", "wireguard-go"], timeoutMs: 240_000 },
    async (lab) => {
      const folder = mkdtempSync(join(tmpdir(), "portreeve-curl-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const [ca, jar] = [join(folder, "ca.pem"), join(folder, "jar")];
      const { gateway } = lab;
      const host = lab.topology.clients[0];
      if (host === undefined) throw new Error("the lab has no client");
      const lines = () => gateway.log.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Line] : []));
      const links = () => lines().filter(({ msg }) => msg === "sign-in-link");
      await expect.poll(() => links().length).toBe(1);
      const messages = lines().map(({ msg }) => msg);
      expect(messages.indexOf("sign-in-link")).toBeGreaterThan(messages.indexOf("ready"));
      const ready = lines().find(({ msg }) => msg === "ready") as Line;

      /** As a person on the LAN would: the status code, then the body. */
      const curl = async (path: string, ...args: string[]) => {
        const said = await host.exec("curl", "-sS", "-o", "-", "-w", "\n%{http_code}", ...args, `${URL_BASE}${path}`);
        const end = said.lastIndexOf("\n");
        return { status: Number(said.slice(end + 1)), text: said.slice(0, end) };
      };
      const trusting = (path: string, ...args: string[]) => curl(path, "--cacert", ca, ...args);
      const json = (body: object) => ["-H", "Content-Type: application/json", "-d", JSON.stringify(body)];

      writeFileSync(ca, (await curl("/api/v1/ca.pem", "-k")).text);
      const printed = execFileSync("openssl", ["x509", "-in", ca, "-noout", "-fingerprint", "-sha256"]).toString();
      expect(printed.trim().split("=")[1]).toBe(ready.caFingerprint);
      await expect(curl("/healthz"), "nobody else vouches for it").rejects.toThrow(/certificate/);
      expect((await trusting("/sign-in")).status).toBe(200);
      expect((await trusting("/api/v1/status")).status).toBe(401);
      const first = readFileSync(join(gateway.dataDir, "api-token"), "utf8").trim();
      const withFirst = await trusting("/api/v1/status", "-H", `Authorization: Bearer ${first}`);
      expect(withFirst.status, "the first token is for this machine").toBe(401);

      const [page, token = ""] = String(links()[0]?.url).split("#");
      expect(page).toBe("https://gw.home.arpa:8351/sign-in");
      const redeem = (...args: string[]) =>
        trusting("/api/v1/sign-in-link/redeem", ...args, ...json({ token, password: PASSWORD }));
      expect((await redeem("-c", jar)).status).toBe(200);
      expect((await redeem()).status, "a second time").toBe(403);
      expect(existsSync(join(gateway.dataDir, "api-token"))).toBe(false);

      const asPage = ["-b", jar, "-H", `Origin: ${URL_BASE}`];
      const withoutOrigin = await trusting("/api/v1/tokens", "-b", jar, ...json({ name: "ci", lifetime: null }));
      expect(withoutOrigin.status).toBe(403);
      const body = { name: "ci", scopes: ["operate"], lifetime: 3600 };
      const made = await trusting("/api/v1/tokens", ...asPage, ...json(body));
      expect(made.status).toBe(201);
      const { secret, token: info } = JSON.parse(made.text) as { secret: string; token: { id: string } };
      const bearer = ["-H", `Authorization: Bearer ${secret}`];
      const port = { protocol: "tcp", externalPort: 8443, internalAddress: lab.client().address };
      expect((await trusting("/api/v1/ports", ...bearer, ...json(port))).status).toBe(201);
      expect((await trusting("/api/v1/tokens", ...bearer)).status, "not an admin's").toBe(403);
      expect((await trusting("/api/v1/status", ...bearer, "-H", "Host: evil.example")).status).toBe(421);

      expect((await gateway.cli("device", "add", "phone", "--no-wait")).code).toBe(0);
      const linked = async () =>
        String((await gateway.json<Line>("device", "config", "phone", "--link")).url).split("#");
      const take = (key: string) => trusting("/api/v1/config-link/redeem", "-i", ...json({ token: key }));
      const [opens, key = ""] = await linked();
      expect(opens).toBe("https://gw.home.arpa:8351/device-config");
      expect((await trusting("/device-config")).text).toContain('<script src="/device-config.js">');
      const taken = await take(key);
      expect(taken.status, "nobody signed in for it").toBe(200);
      expect(taken.text).toMatch(/^cache-control: no-store/im);
      const { stdout: shown } = await gateway.cli("device", "config", "phone");
      expect(taken.text).toContain(JSON.stringify(shown));
      expect((await take(key)).status, "a second time").toBe(403);
      const [, plainKey = ""] = await linked();
      const plain = await trusting(
        "/api/v1/config-link/redeem",
        "-H",
        "Accept: text/plain",
        ...json({ token: plainKey }),
      );
      expect(plain.text).toBe(shown);
      const [, unused = ""] = await linked();

      await gateway.kill();
      await gateway.start();
      expect((await take(unused)).status, "links are in memory").toBe(403);
      expect((await trusting("/api/v1/status", ...bearer)).status).toBe(200);
      expect((await trusting("/api/v1/status", ...asPage)).status, "sessions are in memory").toBe(401);
      const again = await trusting("/api/v1/sessions", "-c", jar, ...json({ password: PASSWORD }));
      expect(again.status).toBe(201);
      expect(links(), "said once").toHaveLength(1);

      const events = await gateway.json<{ type: string; source: string }[]>("events", "list", "--limit", "200");
      const said = events.map(({ type, source }) => `${type} ${source}`);
      expect(said).toContain("sign-in-link.issued controller");
      expect(said).toContain(`password.set api:link:${lab.client().address}`);
      expect(said).toContain(`token.created api:session:${lab.client().address}`);
      expect(said).toContain(`mapping.granted api:token:${info.id}`);
      expect(said).toContain("secret.shown api:socket");
      expect(said).toContain(`secret.shown api:link:${lab.client().address}`);
      expect((await gateway.cli("port", "remove", "8443/tcp", "--yes")).code).toBe(0);
      expect((await gateway.cli("events", "list", "--limit", "5")).stdout).toContain("api:socket");

      const kept = everythingIn(gateway.dataDir) + gateway.log.join("\n");
      const privateKey = /^PrivateKey = (.*)$/m.exec(shown)?.[1] ?? "";
      expect(privateKey).not.toBe("");
      const canaries = [PASSWORD, secret, secret.slice(-43), "PRIVATE KEY", key, plainKey, unused, privateKey];
      for (const canary of canaries) expect(kept).not.toContain(canary);
      expect(everythingIn(gateway.dataDir)).not.toContain(token);
    },
  );
});

interface Line {
  readonly msg: string;
  readonly url?: string;
  readonly caFingerprint?: string;
}
