import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { UpdateRequest } from "../../../../src/adapters/dns-server/messages.ts";
import { UpdateFlow } from "../../../../src/adapters/dns-server/update-flow.ts";
import { updateRcode } from "../../../../src/adapters/dns-server/update-rcodes.ts";
import type { DnsUpdate, RecordChange } from "../../../../src/lib/dns-record.ts";
import type { ErrorCode } from "../../../../src/lib/errors.ts";
import { ManualClock } from "../../../../src/lib/manual-clock.ts";
import { RequestLog } from "../../../../src/lib/request-log.ts";
import { RCODE } from "../../../../src/protocols/dns/constants.ts";

const REMOVAL: RecordChange = { kind: "delete-rrset", name: "photos.example.com", type: "A" };
const ADDITION: RecordChange = { kind: "add", name: "photos.example.com", type: "A", ttl: 300, value: "10.59.0.2" };
let signatures = 0;

const request = (changes: readonly RecordChange[], more: Partial<UpdateRequest> = {}): UpdateRequest => ({
  device: "d1",
  interface: "wg0",
  source: "10.59.0.2",
  signed: true,
  inPairs: true,
  signature: `m${(signatures += 1)}`,
  timeSigned: 1000,
  update: { zone: "example.com", prerequisites: [], changes, lease: null },
  ...more,
});

describe("an update that is proven", () => {
  const submitted: DnsUpdate[] = [];
  const requestIds: string[] = [];
  /** By request id, as the log keeps them beside the events. */
  const answers = new Map<string, unknown>();
  const requests = new RequestLog();
  let refusal: ErrorCode | null = null;
  let served: () => Promise<void> = async () => undefined;
  let flow: UpdateFlow;
  let begin: () => UpdateFlow;

  const outcome = () =>
    refusal === null
      ? { ok: true, answer: { kind: "updated", lease: 86_400 }, changed: true }
      : { ok: false, refusal: { code: refusal, message: "no" } };
  beforeEach(() => {
    vi.useFakeTimers();
    submitted.length = requestIds.length = 0;
    answers.clear();
    refusal = null;
    served = async () => undefined;
    const controller = {
      state: { dnsRevision: 7 },
      submit: async ({ update, requestId }: { update: DnsUpdate; requestId: string }) => {
        submitted.push(update);
        requestIds.push(requestId);
        return outcome();
      },
      preview: () => ({ outcome: outcome(), events: refusal === null ? [{}] : [], state: {} }),
    };
    begin = () =>
      new UpdateFlow({
        controller: controller as never,
        answerOf: async (requestId) => answers.get(requestId),
        served: async () => await served(),
        clock: new ManualClock(0),
        requests,
        changedBefore: 900_000,
        startedAt: 900_000,
      });
    flow = begin();
  });
  afterEach(() => {
    flow.close();
    vi.useRealTimers();
  });

  it("is answered once it is durable and served, with the lease it has", async () => {
    expect(await flow.verdictOf(request([ADDITION]))).toEqual({
      kind: "answer",
      rcode: 0,
      lease: 86_400,
      message: "published",
    });
    expect(requests.list()[0]).toMatchObject({ protocol: "dns", decision: "granted", from: "10.59.0.2" });
    expect(requests.list()[0]?.message).toBe("published, for 86400 s");
    await flow.verdictOf(request([{ kind: "delete-name", name: "nas.home.arpa" }]));
    expect(requests.list()[0]?.message).toBe("taken back");
    served = () => Promise.reject(new Error("the thread is gone"));
    expect(await flow.verdictOf(request([ADDITION]))).toMatchObject({ rcode: RCODE.SERVFAIL });
  });

  it("is decided once, and never if it may be older than what was decided before the start (T19)", async () => {
    const once = request([ADDITION]);
    await flow.verdictOf(once);
    await flow.verdictOf(once);
    expect(submitted).toHaveLength(1);
    expect(await flow.verdictOf(request([ADDITION], { timeSigned: 900 }))).toEqual({ kind: "stale" });
    expect(submitted).toHaveLength(1);
  });

  it("may be repeated as it is when nothing came of it, and not when it was told no", async () => {
    const [full, refused] = [request([ADDITION]), request([ADDITION])];
    refusal = "LOG_WRITE_FAILED";
    expect(await flow.verdictOf(full)).toMatchObject({ rcode: RCODE.SERVFAIL });
    refusal = "NOT_AUTHORIZED";
    await flow.verdictOf(refused);
    refusal = null;
    expect(await flow.verdictOf(full)).toMatchObject({ rcode: RCODE.NOERROR });
    expect(await flow.verdictOf(refused)).toMatchObject({ rcode: RCODE.REFUSED });
    served = () => Promise.reject(new Error("the thread is gone"));
    const kept = request([ADDITION]);
    await flow.verdictOf(kept);
    served = async () => undefined;
    expect(await flow.verdictOf(kept), "it was carried out").toMatchObject({ rcode: RCODE.SERVFAIL });
  });

  it("gets the answer it had if it was carried out before the start, whichever clock its device goes by", async () => {
    for (const timeSigned of [899, 1200]) {
      const once = request([ADDITION], { timeSigned, signature: `before ${timeSigned}` });
      const other = request([ADDITION], { ...once, device: "d2" });
      submitted.length = 0;
      await begin().verdictOf({ ...once, timeSigned: 1000 });
      answers.set(requestIds.at(-1) ?? "", outcome());
      expect(await begin().verdictOf(once)).toMatchObject({ kind: "answer", rcode: 0, lease: 86_400 });
      expect(submitted).toHaveLength(1);
      expect(await begin().verdictOf({ ...other, timeSigned: 899 })).toEqual({ kind: "stale" });
    }
  });

  it("has a request id of its own if it is not signed: who sends it again asks again", async () => {
    const plain = request([ADDITION], { signed: false, signature: null });
    for (const each of [plain, plain]) await flow.verdictOf(each);
    expect(new Set(requestIds).size).toBe(2);
  });

  it.each<[ErrorCode, keyof typeof RCODE]>([
    ["DNS_NAME_IN_USE", "YXDOMAIN"],
    ["DNS_NAME_ABSENT", "NXDOMAIN"],
    ["DNS_RRSET_EXISTS", "YXRRSET"],
    ["DNS_RRSET_ABSENT", "NXRRSET"],
    ["DNS_NOT_ZONE", "NOTZONE"],
    ["DNS_NOT_AUTHORITATIVE", "NOTAUTH"],
    ["NOT_AUTHORIZED", "REFUSED"],
    ["APPROVAL_PENDING", "REFUSED"],
    ["QUOTA_EXCEEDED", "REFUSED"],
    ["EVENT_QUOTA_EXCEEDED", "REFUSED"],
    ["LOG_WRITE_FAILED", "SERVFAIL"],
    ["INTERNAL", "SERVFAIL"],
  ])("that is refused with %s is %s on the wire", async (code, name) => {
    refusal = code;
    expect(await flow.verdictOf(request([ADDITION]))).toMatchObject({ rcode: RCODE[name], message: "no" });
    expect(updateRcode(code)).toBe(RCODE[name]);
  });

  it("of StartOS comes in two messages, and is decided as one", async () => {
    expect(await flow.verdictOf(request([REMOVAL]))).toMatchObject({ rcode: 0 });
    expect(submitted).toEqual([]);
    expect(await flow.verdictOf(request([ADDITION]))).toMatchObject({ rcode: 0 });
    expect(submitted.map(({ changes }) => changes)).toEqual([[REMOVAL, ADDITION]]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(submitted).toHaveLength(1);
  });

  it("of StartOS that nothing follows is a removal, after 3 s; at the latest when we stop", async () => {
    await flow.verdictOf(request([REMOVAL]));
    await vi.advanceTimersByTimeAsync(3000);
    expect(submitted.map(({ changes }) => changes)).toEqual([[REMOVAL]]);
    await flow.verdictOf(request([REMOVAL], { device: "d2" }));
    flow.close();
    expect(submitted).toHaveLength(2);
  });

  it("that is held comes before whatever else its device says", async () => {
    const other: RecordChange = { kind: "add", name: "other.example.com", type: "A", ttl: 300, value: "10.59.0.2" };
    await flow.verdictOf(request([REMOVAL]));
    await flow.verdictOf(request([other]));
    expect(submitted.map(({ changes }) => changes)).toEqual([[REMOVAL], [other]]);
  });

  it("is held for senders in pairs only, and never if it would be refused", async () => {
    await flow.verdictOf(request([REMOVAL], { inPairs: false }));
    expect(submitted).toHaveLength(1);
    refusal = "NOT_AUTHORIZED";
    expect(await flow.verdictOf(request([REMOVAL]))).toMatchObject({ rcode: RCODE.REFUSED });
  });
});
