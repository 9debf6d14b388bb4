"""A BitTorrent client that asks its gateway for its ports, as users run it: only its port mapping is on.

The second argument says by what: "natpmp" (which is PCP first) unless it is "upnp". Prints each port mapping alert as a JSON line; deletes its mappings when its standard input closes.
"""

import json
import select
import sys

import libtorrent

HOW = "enable_upnp" if sys.argv[2:] == ["upnp"] else "enable_natpmp"

session = libtorrent.session(
    {
        "listen_interfaces": sys.argv[1],
        "enable_natpmp": HOW == "enable_natpmp",
        "enable_upnp": HOW == "enable_upnp",
        "enable_dht": False,
        "enable_lsd": False,
        "alert_mask": libtorrent.alert.category_t.all_categories,
    }
)


def report():
    for alert in session.pop_alerts():
        if isinstance(alert, libtorrent.portmap_alert):
            line = {"event": "mapped", "externalPort": alert.external_port, "message": alert.message()}
        elif isinstance(alert, (libtorrent.portmap_error_alert, libtorrent.portmap_log_alert)):
            line = {"event": "error" if "error" in alert.what() else "log", "message": alert.message()}
        else:
            continue
        print(json.dumps(line), flush=True)


while not select.select([sys.stdin], [], [], 0)[0]:
    session.wait_for_alert(200)
    report()
session.apply_settings({HOW: False})
for _ in range(10):
    session.wait_for_alert(100)
    report()
