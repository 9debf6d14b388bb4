import { expect } from "vitest";
import { eventually, type Lab, scenario } from "./lab.ts";
import { WAN_GATEWAY } from "./topology.mjs";

const answer = (lab: Lab, port: number): Promise<string> => {
  const form = ["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"];
  const host = ["--resolve", `a.example.org:${port}:${WAN_GATEWAY}`, `http://a.example.org:${port}/p`];
  return lab.topology.internet.exec("curl", "-s", "--max-time", "2", ...form, ...host).catch(() => "nobody");
};

scenario(
  "[F6] where no LAN is served HTTP is sent to HTTPS all the same, and HAProxy's own ports are closed",
  {
    needs: ["haproxy", "curl"],
    config: { lan: [], wan: { interfaces: ["wan0"], httpRedirect: "on" } },
  },
  async (lab) => {
    await eventually(async () => expect(await answer(lab, 80)).toMatch(/^308 https:\/\/a\.example\.org/));
    for (const port of [60_080, 60_443]) expect(await answer(lab, port), `${port}`).toBe("nobody");
    const sockets = await lab.topology.gateway.exec("ss", "-Hltn", "sport", "=", ":60080");
    expect(sockets, "it listens there").toMatch(/:60080\b/);
    await lab.gateway.stop();
    lab.gateway.configure({ lan: [{ interface: "lan0" }] });
    await lab.gateway.start();
    await eventually(async () => expect(await answer(lab, 80), "nobody wants it").toBe("nobody"));
  },
);
