import { scryptSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { COST, PasswordHashes } from "../../../../src/api/auth/password-hash.ts";
import { Secret } from "../../../../src/events/secret.ts";

const CHEAP = { N: 16, r: 1, p: 1 };
const textOf = (secret: Secret): Record<string, unknown> =>
  JSON.parse(Buffer.from(secret.expose()).toString("utf8")) as Record<string, unknown>;

describe("password hashes", () => {
  it("[A3] are scrypt at N=2^15, r=8, p=3, with the parameters beside them", async () => {
    const sealed = await new PasswordHashes().make("correct horse battery");
    const { N, r, p, salt, hash, algorithm } = textOf(sealed);
    expect({ N, r, p, algorithm }).toEqual({ N: 32768, r: 8, p: 3, algorithm: "scrypt" });
    const again = scryptSync("correct horse battery", Buffer.from(salt as string, "hex"), 32, {
      ...COST,
      maxmem: 2 ** 26,
    });
    expect(again.toString("hex")).toBe(hash);
    expect(await new PasswordHashes().check("correct horse battery", sealed, true)).toEqual({
      ok: true,
      outdated: false,
    });
  });

  it("fit the same password only, also where a keyboard spells it otherwise", async () => {
    const hashes = new PasswordHashes(CHEAP);
    const sealed = await hashes.make("caf\u00e9 \ufb01nal");
    expect((await hashes.check("cafe\u0301 final", sealed, true)).ok).toBe(true);
    expect((await hashes.check("cafe final", sealed, true)).ok).toBe(false);
    expect((await hashes.check("", sealed, true)).ok).toBe(false);
    expect(textOf(await hashes.make("x"))["salt"]).not.toBe(textOf(await hashes.make("x"))["salt"]);
  });

  it("tell when they were made at another cost", async () => {
    const sealed = await new PasswordHashes(CHEAP).make("secret");
    const { ok, outdated } = await new PasswordHashes({ ...CHEAP, N: 32 }).check("secret", sealed, true);
    expect([ok, outdated]).toEqual([true, true]);
    expect(await new PasswordHashes({ ...CHEAP, N: 32 }).check("wrong", sealed, true)).toEqual({
      ok: false,
      outdated: false,
    });
  });

  it("[A3] compute one at a time and let four wait; where there is no password it is the same work and false", async () => {
    const hashes = new PasswordHashes(CHEAP);
    const tries = Array.from({ length: 8 }, () => hashes.check("guess", null, false));
    const results = await Promise.allSettled(tries);
    expect(results.map(({ status }) => status)).toEqual([
      ...Array.from({ length: 5 }, () => "fulfilled"),
      ...Array.from({ length: 3 }, () => "rejected"),
    ]);
    expect(results[5]).toMatchObject({ reason: { problem: { code: "TOO_MANY_TRIES", status: 429 } } });
    expect(results[0]).toEqual({ status: "fulfilled", value: { ok: false, outdated: false } });
  });

  it("[A3] let whoever has not failed go before those who have, and take a place of theirs", async () => {
    const hashes = new PasswordHashes(CHEAP);
    const order: string[] = [];
    const ask = (name: string, preferred: boolean) =>
      hashes.check("guess", null, preferred).then(
        () => order.push(name),
        () => order.push(`${name} refused`),
      );
    await Promise.all([
      ask("first", false),
      ...[1, 2, 3, 4].map((n) => ask(`guesser ${n}`, false)),
      ask("admin", true),
      ask("guesser 5", false),
    ]);
    expect(order.indexOf("admin")).toBeLessThan(order.indexOf("guesser 1"));
    expect(order).toContain("guesser 4 refused");
    expect(order).toContain("guesser 5 refused");
    expect(order).not.toContain("admin refused");
  });
});
