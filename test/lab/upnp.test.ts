import { expect } from "vitest";
import { ControlPoint } from "./control-point.ts";
import { eventually, scenario } from "./lab.ts";
import { tunnelName } from "./tunnel.ts";
import {
  external,
  libtorrentSession,
  natPortMapperSession,
  PORT,
  tunnelSession,
  upnpcSession,
} from "./upnp-clients.ts";
import {
  announcements,
  browsers,
  callbacksOfOthers,
  eventsArrive,
  fromTheWan,
  hostileXml,
  mappingsOfOthers,
  searchesAreNoReflector,
  slowOnes,
} from "./upnp-matrix.ts";

const TUNNEL = tunnelName();

scenario(
  "[P9] [P1] upnpc, libtorrent and a client of version 2 only map on the LAN and through a tunnel; nothing is done for anybody else, and the WAN hears nothing",
  {
    clients: 4,
    peers: 2,
    needs: ["upnpc", "wg", "wg-quick", "wireguard-go"],
    config: {
      lan: [{ interface: "lan0" }],
      wireguard: { interface: TUNNEL },
      portControl: { perDevice: { requestsPerSecond: 10_000 } },
    },
    timeoutMs: 120_000,
  },
  async (lab) => {
    // The interface is made by a dozen programs, one after the other: on a busy machine not within the 5 s of a promise.
    for (const name of ["wide", "narrow"])
      expect(await lab.gateway.cli("--no-wait", "device", "add", name, "--kind", "server")).toMatchObject({ code: 0 });
    const peers = () => lab.topology.gateway.exec("wg", "show", TUNNEL, "peers");
    await eventually(async () => expect((await peers()).trim().split("\n")).toHaveLength(2), 30_000);
    const [, torrent, libp2p] = lab.topology.clients;
    if (torrent === undefined || libp2p === undefined) throw new Error("no clients");
    await Promise.all([
      upnpcSession(lab),
      libtorrentSession(lab, torrent),
      natPortMapperSession(lab, libp2p),
      tunnelSession(lab),
    ]);
    expect(await external(lab)).toEqual([]);

    const gateway = { host: lab.server, port: PORT };
    const [one, other] = [new ControlPoint(lab.client(0).host, gateway), new ControlPoint(lab.client(1).host, gateway)];
    try {
      await eventsArrive(lab, one);
      await callbacksOfOthers(lab, one, other);
      await browsers(lab, one);
      await hostileXml(one);
      await mappingsOfOthers(lab, one, other);
      await searchesAreNoReflector(lab, one);
      await slowOnes(lab, one, other);
      await fromTheWan(lab);
      await announcements(lab, one);
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  },
);
