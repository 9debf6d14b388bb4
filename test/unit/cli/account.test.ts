import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { totpCode, totpStep } from "../../../src/api/auth/totp.ts";
import { fromBase32 } from "../api/auth/base32.ts";
import { SecretLines } from "../../../src/cli/secret-line.ts";
import { openShell, type Shell } from "./shell.ts";

let shell: Shell;
beforeEach(async () => {
  shell = await openShell({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => await shell.close());

describe("user", () => {
  it("[A3] sets the password from standard input, and twice where a person types it", async () => {
    expect(await shell.run("user password", { secrets: ["a good long password"] })).toMatchObject({ code: 0 });
    expect((await shell.run("user show")).out).toMatch(/password +set/);
    const differ = await shell.run("user password", {
      answer: "y",
      secrets: ["a good long password", "another one here"],
    });
    expect(differ).toMatchObject({ code: 2, err: expect.stringContaining("differ") });
    const short = await shell.run("user password", { secrets: ["short"] });
    expect(short.code).toBe(2);
    expect(short.err).not.toContain("short\n");
    expect((await shell.run("user password", { secrets: [] })).code).toBe(2);
  });

  it("[A3] prints a link on standard output, and what to know about it beside", async () => {
    const { code, out, err } = await shell.run("user link");
    expect(code).toBe(0);
    expect(out).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/sign-in#[\w-]{43}\n$/);
    expect(err).toContain("once");
    expect((await shell.json<{ linkExpiresAt: string | null }>("user show")).linkExpiresAt).not.toBeNull();
  });

  it("[A3] enrols an app and turns it off again", async () => {
    await shell.run("user password", { secrets: ["a good long password"] });
    const enrolled = await shell.run("user totp", { secrets: ["000000"] });
    expect(enrolled).toMatchObject({ code: 2, err: expect.stringContaining("█") });
    let secret = "";
    const right = await shell.run("user totp", {
      secrets: [() => code(secret)],
      onErr: (text) => {
        secret = /or type ([A-Z2-7]{32})/.exec(text)?.[1] ?? secret;
      },
    });
    expect(right).toMatchObject({ code: 0, out: expect.stringContaining("needs a code") });
    expect((await shell.json<{ totp: boolean }>("user show")).totp).toBe(true);
    expect((await shell.run("user totp --off")).code, "asks first").toBe(2);
    expect((await shell.run("user totp --off --yes")).code).toBe(0);
    expect((await shell.json<{ totp: boolean }>("user show")).totp).toBe(false);
  });
});

const code = (secret: string): string => totpCode(fromBase32(secret), totpStep(shell.rig.clock.now()));

describe("token", () => {
  it("[A3] prints a token and nothing else on standard output, lists and revokes it", async () => {
    const made = await shell.run("token add 'my backup' --scope operate --for 30d");
    expect(made.out).toMatch(/^portreeve_k[0-9a-f]{12}_[\w-]{43}\n$/);
    const { out } = await shell.run("token list");
    expect(out).toMatch(/my backup\s+operate\s+in 30 d\s+not since the start/);
    expect(out).not.toContain(made.out.trim());
    expect((await shell.run("token add 'My Backup'")).code, "the name is taken").toBe(4);
    expect((await shell.run("token add other --for 1d --endless")).code).toBe(2);
    expect((await shell.run("token add other --dry-run")).code).toBe(10);
    expect((await shell.run("token remove 'my backup'")).code, "asks first").toBe(2);
    expect((await shell.run("token remove 'my backup' --yes")).code).toBe(0);
    expect((await shell.run("token remove 'my backup' --yes")).code).toBe(3);
    expect((await shell.run("token list")).out).toBe("There is no token.\n");
    const endless = await shell.json<{ token: { expiresAt: string | null } }>("token add forever --endless");
    expect(endless.token.expiresAt).toBeNull();
  });

  it("is told of in the log with who made it", async () => {
    await shell.run("token add ci");
    expect((await shell.run("events list --type token")).out).toMatch(
      /api:socket\s+token\.created\s+ci may read until/,
    );
  });
});

describe("session", () => {
  it("[A3] lists and ends sessions", async () => {
    expect((await shell.run("session list")).out).toBe("Nobody is signed in.\n");
    expect((await shell.run("session kill")).code).toBe(2);
    expect((await shell.run("session kill 0123 --yes")).code).toBe(3);
    expect((await shell.run("session kill --all --yes")).out).toBe("0 ended.\n");
  });
});

describe("secret lines", () => {
  it("come line by line from a pipe, in whatever pieces it brings them", async () => {
    const input = new PassThrough();
    const lines = new SecretLines(input, new PassThrough());
    const first = lines.read("Password: ");
    input.write("sec");
    input.write("ret\r\nsecond");
    expect(await first).toBe("secret");
    input.end("\n");
    expect([await lines.read(""), await lines.read("")]).toEqual(["second", ""]);
  });

  it("are typed without an echo, with corrections, and given up with Ctrl-C", async () => {
    const [input, screen] = [Object.assign(new PassThrough(), { isTTY: true }), new PassThrough()];
    const modes: boolean[] = [];
    Object.assign(input, { setRawMode: (on: boolean) => modes.push(on) });
    const lines = new SecretLines(input, screen);
    const line = lines.read("Password: ");
    for (const key of ["s", "e", "x", "\u007f", "cret", "\r"]) input.write(key);
    expect(await line).toBe("secret");
    expect(String(screen.read())).toBe("Password: \n");
    expect(modes).toEqual([true, false]);
    const given = lines.read("Password: ");
    input.write("\u0003");
    await expect(given).rejects.toThrow("nothing was changed");
    expect(modes).toEqual([true, false, true, false]);
  });
});
