import { parseIpv4 } from "../../../../lib/ip.ts";
import { parseIpv6 } from "../../../../lib/ipv6.ts";

/** Beyond, the account that was used longest ago is forgotten. */
const ACCOUNTS_MAX = 4096;
/** As BIND has it: a debt is paid off in so long at most, and every second answer over the limit tells to use TCP. */
const WINDOW_SECONDS = 15;
const SLIP = 2;

export type RateVerdict = "send" | "truncate" | "drop";

interface Account {
  balance: number;
  at: number;
  over: number;
}

/**
 * Response rate limiting: whoever has answers sent to somebody else by a false source address gets few of the same kind,
 * and that somebody is hardly harmed. A real client is told by TC=1 to come by TCP, where it can prove its address.
 */
export class ResponseRate {
  readonly #accounts = new Map<string, Account>();

  /** Whether one more answer of a kind goes out; `now` in milliseconds that never go back. */
  take(kind: string, perSecond: number, now: number): RateVerdict {
    const most = Math.max(1, perSecond);
    const account = this.#accounts.get(kind) ?? { balance: most, at: now, over: 0 };
    account.balance = Math.min(most, account.balance + ((now - account.at) / 1000) * perSecond);
    account.at = now;
    this.#accounts.delete(kind);
    this.#accounts.set(kind, account);
    if (this.#accounts.size > ACCOUNTS_MAX) {
      const [oldest] = this.#accounts.keys();
      if (oldest !== undefined) this.#accounts.delete(oldest);
    }
    account.balance = Math.max(-WINDOW_SECONDS * perSecond, account.balance - 1);
    if (account.balance >= 0) {
      account.over = 0;
      return "send";
    }
    account.over += 1;
    return account.over % SLIP === 0 ? "truncate" : "drop";
  }

  get size(): number {
    return this.#accounts.size;
  }
}

/**
 * The network that a stranger is counted with: a /24, or a /56 of IPv6, where one customer has that many addresses. A link
 * has one, whatever its `fe80::` addresses.
 */
export function blockOf(address: string): string {
  const ipv4 = parseIpv4(address);
  if (ipv4 !== null) return String(ipv4 >>> 8);
  const [plain = "", zone = ""] = address.split("%");
  const groups = parseIpv6(plain);
  return groups === null ? address : `${groups.slice(0, 3).join(":")}:${(groups[3] ?? 0) >>> 8}%${zone}`;
}
