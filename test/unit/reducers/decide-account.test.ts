import { describe, expect, it } from "vitest";
import { accessSecrets } from "../../../src/reducers/account.ts";
import type { CommandOf } from "../../../src/reducers/decide/command.ts";
import { eventsOf, Gateway, refusalOf, T0 } from "./given.ts";

const secret = (digit: string): string => `s${digit.repeat(32)}`;
const tokenAdd = (fields: Partial<CommandOf<"token.create">> = {}): CommandOf<"token.create"> => ({
  type: "token.create",
  id: "k000000000001",
  name: "backup",
  scopes: ["read"],
  expiresAt: null,
  secretId: secret("a"),
  ...fields,
});
const setPassword = (fields: Partial<CommandOf<"password.set">> = {}): CommandOf<"password.set"> => ({
  type: "password.set",
  secretId: secret("1"),
  reason: "changed",
  basis: null,
  ...fields,
});

describe("decide account", () => {
  it("[A3] a link sets one password, while it is good, and only the last link does", () => {
    const gateway = new Gateway();
    const issue = (secretId: string) =>
      gateway.do({ type: "sign-in-link.issue", secretId, expiresAt: gateway.now + 1000 });
    issue(secret("b"));
    issue(secret("c"));
    const use = (basis: string) => gateway.do(setPassword({ reason: "link", basis }));
    expect(refusalOf(use(secret("b"))).code).toBe("NOT_AUTHORIZED");
    expect(eventsOf(use(secret("c")))).toEqual(["password.set"]);
    expect(refusalOf(use(secret("c"))).code, "twice").toBe("NOT_AUTHORIZED");
    issue(secret("d"));
    gateway.now += 1000;
    expect(refusalOf(use(secret("d"))).code, "too late").toBe("NOT_AUTHORIZED");
    expect(refusalOf(gateway.do({ type: "sign-in-link.issue", secretId: secret("e"), expiresAt: T0 })).code).toBe(
      "INVALID_REQUEST",
    );
  });

  it("[A3] a password is stored anew only over itself, and leaves a link as it is", () => {
    const gateway = new Gateway();
    gateway.do(setPassword());
    gateway.do({ type: "sign-in-link.issue", secretId: secret("b"), expiresAt: gateway.now + 1000 });
    const rehash = (basis: string) => gateway.do(setPassword({ secretId: secret("2"), reason: "rehashed", basis }));
    expect(refusalOf(rehash(secret("9"))).code).toBe("LOG_REVISION_CONFLICT");
    expect(eventsOf(rehash(secret("1")))).toEqual(["password.set"]);
    expect(gateway.state.access.link).not.toBeNull();
    gateway.do(setPassword({ secretId: secret("3") }));
    expect(gateway.state.access, "a new password ends the link").toMatchObject({
      link: null,
      password: { secretId: secret("3") },
    });
  });

  it("[A3] codes come on top of a password, from one device, until they are turned off", () => {
    const gateway = new Gateway();
    const enable = () => gateway.do({ type: "totp.enable", secretId: secret("7") });
    expect(refusalOf(enable()).code).toBe("INVALID_REQUEST");
    gateway.do(setPassword());
    expect(eventsOf(enable())).toEqual(["totp.enabled"]);
    expect(refusalOf(enable()).code).toBe("INVALID_REQUEST");
    expect(eventsOf(gateway.do({ type: "totp.disable" }))).toEqual(["totp.disabled"]);
    expect(eventsOf(gateway.do({ type: "totp.disable" })), "it was so already").toEqual([]);
  });

  it("[A3] tokens have a name each, an end in the future, and a number", () => {
    const gateway = new Gateway();
    expect(eventsOf(gateway.do(tokenAdd({ scopes: ["read", "read", "operate"] })))).toEqual(["token.created"]);
    expect(gateway.state.access.tokens["k000000000001"]?.scopes).toEqual(["read", "operate"]);
    expect(gateway.do(tokenAdd({ id: "k000000000002", name: "BackUp" }))).toMatchObject({
      refusal: { code: "CONFLICT", message: expect.stringContaining("k000000000001") },
    });
    expect(refusalOf(gateway.do(tokenAdd({ name: "past", expiresAt: gateway.now }))).code).toBe("INVALID_REQUEST");
    for (let count = 1; count < 100; count += 1) {
      const id = `k${count.toString(16).padStart(11, "0")}f`;
      expect(eventsOf(gateway.do(tokenAdd({ id, name: `token ${count}` })))).toEqual(["token.created"]);
    }
    expect(refusalOf(gateway.do(tokenAdd({ id: "kffffffffffff", name: "one more" }))).code).toBe("QUOTA_EXCEEDED");
    expect(eventsOf(gateway.do({ type: "token.revoke", id: "k000000000001" }))).toEqual(["token.revoked"]);
    expect(refusalOf(gateway.do({ type: "token.revoke", id: "k000000000001" })).code).toBe("NOT_FOUND");
  });

  it("[A3] names exactly the secrets that are still needed", () => {
    const gateway = new Gateway();
    const named = () => accessSecrets(gateway.state.access).sort();
    expect(named()).toEqual([]);
    gateway.do({ type: "authority.create", certificate: "PEM", secretId: secret("0") });
    gateway.do({ type: "sign-in-link.issue", secretId: secret("b"), expiresAt: gateway.now + 1000 });
    expect(named()).toEqual([secret("0"), secret("b")]);
    gateway.do(setPassword({ reason: "link", basis: secret("b") }));
    gateway.do({ type: "totp.enable", secretId: secret("7") });
    gateway.do(tokenAdd());
    expect(named()).toEqual([secret("0"), secret("1"), secret("7"), secret("a")]);
    gateway.do({ type: "totp.disable" });
    gateway.do({ type: "token.revoke", id: "k000000000001" });
    expect(named()).toEqual([secret("0"), secret("1")]);
  });
});
