import type { DnsListener } from "../../messages.ts";

/** One sentence with the fix, for an address whose port 53 somebody else has. */
export function whenTaken({ address, port }: DnsListener): string {
  return (
    `it is in use by another DNS server, such as dnsmasq, named, unbound or systemd-resolved (ss -lntup 'sport = :${port}' ` +
    `names it); stop that one, or let it listen elsewhere than on ${address}, as with dnsmasq's bind-interfaces and except-interface`
  );
}
