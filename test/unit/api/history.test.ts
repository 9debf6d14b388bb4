import { request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RecordDocument, StateDiff, StateDocument } from "../../../src/api/schemas/history.ts";
import { eventData } from "../../../src/cli/sse.ts";
import { stateHash } from "../../../src/reducers/state-json.ts";
import { T0 } from "../reducers/given.ts";
import { asDevice, makeRig, type Rig, WEB } from "./rig.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await makeRig();
});
afterEach(async () => await rig.app.close());

const events = async (query: string) =>
  (await rig.call<RecordDocument[]>("GET", `/api/v1/events${query}`)).body.map(({ seq, type }) => `${seq} ${type}`);

describe("the records of the log", () => {
  it("[E1] are the contract's documents and chain by their hashes", async () => {
    const { body } = await rig.call<RecordDocument[]>("GET", "/api/v1/events");
    expect(body.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(Object.keys(body[0] as object)).toEqual(
      "seq at source requestId causedBy type v data prevHash hash".split(" "),
    );
    expect(body[1]?.prevHash).toBe(body[0]?.hash);
    expect((await rig.call<RecordDocument>("GET", "/api/v1/events/2")).body).toEqual(body[1]);
    expect((await rig.call("GET", "/api/v1/events/9")).status).toBe(404);
  });

  it("are the last ones, or the next ones after a seq, and of the types asked for", async () => {
    await asDevice(rig);
    expect(await events("?limit=2")).toEqual(["3 interface.observed", "4 mapping.granted"]);
    expect(await events("?after=1&limit=2")).toEqual(["2 interface.observed", "3 interface.observed"]);
    expect(await events("?type=interface&to=2")).toEqual(["2 interface.observed"]);
    expect(await events("?type=settings.changed,mapping")).toEqual(["1 settings.changed", "4 mapping.granted"]);
    const id = (await rig.ports())[0]?.id;
    expect(await events(`?port=${id}`)).toEqual(["4 mapping.granted"]);
  });

  it("names the type that was meant when one is misspelt", async () => {
    const { status, text } = await rig.call("GET", "/api/v1/events?type=maping");
    expect(status).toBe(400);
    expect(text).toContain("did you mean mapping?");
  });

  it("finds the last ones also where they are far back", async () => {
    for (let index = 0; index < 1500; index += 1) {
      await rig.submit({ type: "interface.observe", name: "lan0", up: index % 2 === 0, addresses: [], gateway: null });
    }
    expect(await events("?type=settings&limit=1")).toEqual(["1 settings.changed"]);
  });

  it("[E7] are exported one a line", async () => {
    const { headers, text } = await rig.call("GET", "/api/v1/events/export?after=1");
    expect(headers["content-type"]).toBe("application/x-ndjson");
    const lines = text.trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as RecordDocument).seq)).toEqual([2, 3]);
  });

  it("[E1] are verified on request", async () => {
    const { body } = await rig.call("GET", "/api/v1/events/verify");
    expect(body).toMatchObject({ ok: true, records: 3, faults: [], head: { seq: 3 } });
  });
});

/** A reader of the event stream that can be cut off. */
async function follow(headers: Record<string, string>, query = ""): Promise<{ next(): Promise<number>; cut(): void }> {
  if (!rig.app.server.listening) await rig.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = rig.app.server.address() as AddressInfo;
  return await new Promise((resolve, reject) => {
    const sent = request({
      host: "127.0.0.1",
      port,
      path: `/api/v1/events/stream${query}`,
      headers: { connection: "close", ...headers },
    });
    sent.once("error", reject);
    sent.once("response", (response) => {
      response.setEncoding("utf8");
      const data = eventData(response);
      resolve({
        next: async () => (JSON.parse((await data.next()).value as string) as RecordDocument).seq,
        cut: () => void response.destroy(),
      });
    });
    sent.end();
  });
}

describe("the event stream", () => {
  it("[E3] [A4] gives records as they are committed, each once and in order", async () => {
    const reader = await follow({});
    await rig.call("POST", "/api/v1/ports", { body: WEB });
    await asDevice(rig);
    expect([await reader.next(), await reader.next()]).toEqual([4, 5]);
    reader.cut();
  });

  it("[E3] resumes after Last-Event-ID without a gap or a repetition, whatever came meanwhile", async () => {
    const first = await follow({}, "?after=0");
    expect([await first.next(), await first.next()]).toEqual([1, 2]);
    first.cut();
    await rig.call("POST", "/api/v1/ports", { body: WEB });
    const second = await follow({ "last-event-id": "2" });
    await asDevice(rig);
    expect([await second.next(), await second.next(), await second.next()]).toEqual([3, 4, 5]);
    second.cut();
  });

  it("refuses to resume after a record that this log does not have", async () => {
    const { status, text } = await rig.call("GET", "/api/v1/events/stream", { headers: { "last-event-id": "99" } });
    expect(status).toBe(409);
    expect(text).toContain("LOG_REVISION_CONFLICT");
  });

  it("ends when the API closes, and when its reader leaves it stops following", async () => {
    const reader = await follow({});
    const ended = reader.next().catch(() => -1);
    await rig.app.close();
    expect(await ended).toBe(-1);
  });
});

describe("the state", () => {
  it("[E7] is shown with its hash, now, at a seq and at a time", async () => {
    const hash = stateHash(rig.controller.state);
    rig.clock.advance(60_000);
    await asDevice(rig);
    const now = await rig.call<StateDocument>("GET", "/api/v1/state");
    expect(now.body).toMatchObject({ seq: 4, hash: stateHash(rig.controller.state) });
    expect(Object.keys(now.body.state["mappings"] as object)).toHaveLength(1);
    const then = await rig.call<StateDocument>("GET", "/api/v1/state?at=3");
    expect(then.body).toMatchObject({ seq: 3, at: new Date(T0).toISOString(), hash });
    const between = new Date(T0 + 59_999).toISOString();
    expect((await rig.call<StateDocument>("GET", `/api/v1/state?at=${between}`)).body.seq).toBe(3);
    expect((await rig.call("GET", "/api/v1/state?at=99")).status).toBe(404);
    for (const none of ["yesterday", "-1", "%2B1", "1.5", "4%20", "9999999999999999"]) {
      const { status, body } = await rig.call("GET", `/api/v1/state?at=${none}`);
      expect([none, status, body["code"]]).toEqual([none, 400, "INVALID_REQUEST"]);
    }
  });

  it("[E7] is compared between two records, by path", async () => {
    await asDevice(rig);
    const id = (await rig.ports())[0]?.id;
    const { body } = await rig.call<StateDiff>("GET", "/api/v1/state/diff?from=3&to=4");
    expect(body).toMatchObject({ from: 3, to: 4 });
    const mapping = body.changes.find(({ path }) => path === `/mappings/${id}`);
    expect(mapping).toMatchObject({ op: "add", before: null, after: { externalPort: 8080 } });
    expect((await rig.call<StateDiff>("GET", "/api/v1/state/diff?from=4")).body.changes).toEqual([]);
    const back = await rig.call<StateDiff>("GET", "/api/v1/state/diff?from=4&to=3");
    expect(back.body.changes.find(({ path }) => path === `/mappings/${id}`)).toMatchObject({ op: "remove" });
  });
});

describe("snapshots", () => {
  it("[E7] are made, listed, shown and verified", async () => {
    expect((await rig.call("GET", "/api/v1/snapshots")).body).toEqual([]);
    const made = await rig.call("POST", "/api/v1/snapshots");
    expect(made).toMatchObject({ status: 201, body: { seq: 3 } });
    expect((await rig.call("GET", "/api/v1/snapshots")).body).toEqual([made.body]);
    expect((await rig.call("GET", "/api/v1/snapshots/3")).body).toMatchObject({ seq: 3, state: { seq: 3 } });
    expect((await rig.call("GET", "/api/v1/snapshots/3/verify")).body).toMatchObject({ ok: true, seq: 3 });
    expect((await rig.call("GET", "/api/v1/snapshots/2")).status).toBe(404);
    expect((await rig.call("GET", "/api/v1/snapshots/2/verify")).status).toBe(404);
  });
});
