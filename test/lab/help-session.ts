/** One line of the session. */
export interface Step {
  readonly line: string;
  /** Exit codes that are right. */
  readonly exits: readonly number[];
}

/**
 * Every example of every `--help`, in an order in which one leads to the next, with what has to be between them. It ends
 * as it began, so that it can be played again. 1842 stands for the newest record of what was typed, `2h ago` for now; files and folders
 * are the lab's. In parentheses is what others do.
 */
const TEXT = `
portreeve version
portreeve status
portreeve status --json
portreeve completion bash
portreeve config check --config portreeve.yaml
portreeve config schema
portreeve config show
portreeve config show --config portreeve.yaml
portreeve doctor
portreeve doctor --fix
portreeve doctor --unfix --yes

portreeve subnet remove home
portreeve import starttunnel dump.json                           # exits 10
portreeve import miniupnpd /var/lib/misc/upnp.leases             # exits 10
portreeve import wg-quick /etc/wireguard --apply
portreeve undo                                                         # exits 4
portreeve subnet remove wg0
portreeve plan --file gateway.yaml                                   # exits 10
portreeve plan --file gateway.yaml --prune                           # exits 10
portreeve apply --file gateway.yaml --prune
portreeve undo

portreeve subnet add home 10.59.7.0/24
portreeve subnet edit home --dns 9.9.9.9,149.112.112.112
portreeve subnet edit home --zone home.example.org
portreeve subnet add office --ipv6 fd12:3456:789a::/64
portreeve subnet list
portreeve subnet edit office --name work --ipv6 none
portreeve subnet remove work

portreeve device add nas --kind server
portreeve device add laptop --for 30d
portreeve device add tv --lan lan0 --ip 192.168.77.30
portreeve device list
portreeve device edit laptop --forever
portreeve device edit nas --ip 10.59.7.9 --profile split
portreeve device edit nas --zones nas.example.org
portreeve device edit nas --maps-for 192.168.77.0/24
portreeve device show nas
portreeve top
portreeve device show nas --span quarter-hour
portreeve device config nas
portreeve device config nas --qr
portreeve device config nas --link
portreeve device config nas --profile full --endpoint gw.example.org
portreeve device promote laptop
portreeve device demote laptop
portreeve device allow laptop ports
portreeve device ask laptop ports
portreeve device allow laptop 8080/tcp
portreeve device deny laptop 8080/tcp
portreeve device allow laptop shop.example.com
portreeve device deny laptop shop.example.com
portreeve device deny laptop dns
portreeve device key nas
portreeve device key nas --dns
portreeve device key nas --form lego
portreeve dns add nas.home.arpa A 10.59.0.2 --ttl 300
portreeve dns add printer.home.arpa A 10.59.0.9 --view home
portreeve dns list
portreeve dns ask nas.home.arpa
portreeve dns queries
portreeve dns ask www.example.org AAAA --view home
portreeve dns list --device nas
portreeve dns edit nas.home.arpa --ttl 60
portreeve dns edit nas.home.arpa A --to 10.59.0.3
portreeve why record nas.home.arpa
portreeve dns remove nas.home.arpa
portreeve dns remove printer.home.arpa A
portreeve device rekey laptop
portreeve device forget-key nas
portreeve why device nas
portreeve why subnet home
portreeve why peer xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
portreeve why address 10.59.7.1/24
portreeve why route 10.59.7.0/24                                     # exits 0 or 3
portreeve why rule 1910                                              # exits 0 or 3
portreeve why neighbour 2001:db8::a3b:702                            # exits 0 or 3
portreeve port add 25565/tcp nas
portreeve port remove 25565/tcp
portreeve route add nas.example.org nas
portreeve route add '*.example.org' 192.168.7.2:8443 --label web
portreeve route add mail.example.org:993 192.168.7.2 --for 7d
portreeve route list
portreeve route list --device 192.168.7.2
portreeve route show nas.example.org
portreeve why route nas.example.org
portreeve route disable nas.example.org
portreeve route enable nas.example.org
portreeve route edit nas.example.org --to 192.168.7.3
portreeve route edit nas.example.org --to 192.168.7.3:8443 --label nas
portreeve route remove nas.example.org
portreeve route remove '*.example.org'
portreeve route remove mail.example.org:993
portreeve device remove tv
portreeve device remove nas
portreeve device remove laptop

portreeve plan port add 8443:443/tcp 192.168.7.2                     # exits 10
portreeve port add 8443:443/tcp 192.168.7.2 --label web
portreeve port add 49152-49251/udp 192.168.7.9 --for 2h
portreeve port add 22022:22/tcp 192.168.7.2 --from 203.0.113.0/24
portreeve port add 5000 192.168.7.2 --disabled
portreeve port list
portreeve port list --device 192.168.7.2
portreeve port show 8443/tcp
portreeve why port 8443/tcp
portreeve why port 8443
portreeve why element 'forward|11.22.33.1|tcp|8443'
portreeve why sysctl net.ipv4.ip_forward
portreeve port disable 8443/tcp
portreeve port enable 8443/tcp
portreeve port edit 8443/tcp --to 192.168.7.3:443 --label shop
portreeve port edit 8443/tcp --from 203.0.113.0/24 --source gateway
portreeve plan port remove 8443/tcp                                  # exits 10
portreeve port disable 8443/tcp --confirm-within 60s
portreeve confirm
portreeve undo --dry-run                                             # exits 10
portreeve undo
portreeve revert 1842 --dry-run                                      # exits 10
portreeve revert 1842
portreeve port remove 8443/tcp
portreeve port remove 49152/udp
portreeve port remove 22022/tcp
portreeve port remove 5000

(a device asks for 8080/tcp)
portreeve request list --decision refused
portreeve request list --pending
portreeve port keep 8080/tcp
portreeve port block 8080/tcp
portreeve port list --blocked
portreeve why block '192.168.77.2|tcp|8080'
portreeve port unblock 8080/tcp

portreeve reconciler list
portreeve reconciler show nftables-forwards
portreeve reconciler run nftables-forwards
portreeve reconciler run nftables-forwards --dry-run
portreeve reconciler release-brake nftables-forwards
portreeve reconciler release-brake nftables-forwards --dry-run
portreeve reconciler pause nftables-forwards --for 10m
portreeve reconciler resume nftables-forwards

portreeve user show
portreeve user link
portreeve user password
portreeve user totp
portreeve user totp --off
portreeve session list
portreeve session kill --all
portreeve token add grafana --scope read
portreeve token add deploy --scope operate --for 7d
portreeve token list
portreeve token remove grafana
portreeve token remove deploy

portreeve snapshot create
portreeve snapshot list
portreeve snapshot show
portreeve snapshot verify
portreeve events list --type mapping,lease
portreeve events list --after 1842
portreeve events show 1842
portreeve events export --after 1842
portreeve events verify
portreeve state show --json
portreeve state show --at '2h ago'
portreeve state diff --from 1842
portreeve backup gateway.backup --passphrase-file /etc/portreeve/backup.pass

portreeve events tail                                                # exits 6
(the daemon stops)
portreeve events verify --data-dir /var/lib/portreeve
portreeve replay --data-dir /var/lib/portreeve --verify
portreeve restore gateway.backup --data-dir /var/lib/portreeve
portreeve events salvage --data-dir /var/lib/portreeve
portreeve snapshot restore 1842 --data-dir /var/lib/portreeve
portreeve events accept --data-dir /var/lib/portreeve
portreeve teardown --data-dir /var/lib/portreeve --yes
portreeve run --config /etc/portreeve/portreeve.yaml
`;

export const SESSION: readonly Step[] = TEXT.split("\n")
  .filter((text) => text !== "")
  .map((text) => {
    const [line = "", exits = "0"] = text.split(/\s+# exits /);
    return { line: line.trimEnd(), exits: exits.split(" or ").map(Number) };
  });
