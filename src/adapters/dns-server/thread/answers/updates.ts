import type { DnsUpdate } from "../../../../lib/dns-record.ts";
import { RCODE } from "../../../../protocols/dns/constants.ts";
import { EXTENDED_ERROR, extendedError } from "../../../../protocols/dns/extended-error.ts";
import type { EdnsOption } from "../../../../protocols/dns/message.ts";
import { DnsUpdateError, leaseOption, readUpdate } from "../../../../protocols/dns/update.ts";
import { type Asked, bare, finish, type Reply } from "./exchange.ts";
import type { UpdateRequest, Verdict } from "../../messages.ts";
import type { Tally } from "../tally.ts";
import type { Views } from "../zones/views.ts";

/** Updates that wait for their verdict, of one device and of all; a long one counts as several. */
const PER_DEVICE_MAX = 32;
const TOTAL_MAX = 512;
const OCTETS_OF_ONE = 2048;
/** A client gives up about then. What is decided later is durable all the same, and a repetition is told so. */
const VERDICT_MAX_MS = 8000;

/** Opcode 5. The octets, the signature and the form are judged here, the rest by who decides. */
export class Updates {
  readonly #views: Views;
  readonly #tally: Tally;
  readonly #submit: (id: number, request: UpdateRequest) => void;
  readonly #waiting = new Map<number, (verdict: Verdict) => void>();
  readonly #perDevice = new Map<string, number>();
  #nextId = 1;

  constructor(views: Views, tally: Tally, submit: (id: number, request: UpdateRequest) => void) {
    this.#views = views;
    this.#tally = tally;
    this.#submit = submit;
  }

  decided(id: number, verdict: Verdict): void {
    this.#waiting.get(id)?.(verdict);
  }

  answer(asked: Asked): Reply | Promise<Reply> {
    const { client, signing, view, request } = asked;
    this.#tally.count(client.transport, "update");
    const device = signing.kind === "verified" ? signing.device : this.#unsignedDevice(asked);
    if (device === null) return refused(asked, "updates are signed with the device's key");
    let update: DnsUpdate;
    try {
      update = readUpdate(request);
    } catch (cause) {
      if (!(cause instanceof DnsUpdateError)) throw cause;
      return finish(asked, { rcode: RCODE[cause.rcode], options: explained(EXTENDED_ERROR.OTHER, cause.message) });
    }
    const open = this.#perDevice.get(device) ?? 0;
    const weight = 1 + Math.floor(asked.bytes.length / OCTETS_OF_ONE);
    if ((open > 0 && open + weight > PER_DEVICE_MAX) || this.#waiting.size >= TOTAL_MAX) {
      return finish(asked, {
        rcode: RCODE.SERVFAIL,
        options: explained(EXTENDED_ERROR.OTHER, "too many updates wait"),
      });
    }
    const signed = signing.kind === "verified";
    const sent = {
      device,
      interface: view.row.interface,
      source: client.address,
      signed,
      inPairs: !signed || signing.asStartos,
      signature: signed ? signing.signature : null,
      timeSigned: signed ? signing.timeSigned : 0,
      update,
    };
    return this.#ask(asked, sent, weight);
  }

  async #ask(asked: Asked, request: UpdateRequest, weight: number): Promise<Reply> {
    const { device } = request;
    const id = this.#nextId;
    this.#nextId += 1;
    this.#perDevice.set(device, (this.#perDevice.get(device) ?? 0) + weight);
    const verdict = await new Promise<Verdict | null>((resolve) => {
      const timer = setTimeout(() => resolve(null), VERDICT_MAX_MS);
      this.#waiting.set(id, (decided) => {
        clearTimeout(timer);
        resolve(decided);
      });
      this.#submit(id, request);
    });
    this.#waiting.delete(id);
    const left = (this.#perDevice.get(device) ?? weight) - weight;
    if (left === 0) this.#perDevice.delete(device);
    else this.#perDevice.set(device, left);
    return this.#told(asked, request, verdict);
  }

  #told(asked: Asked, { update }: UpdateRequest, verdict: Verdict | null): Uint8Array {
    if (verdict === null) {
      return finish(asked, {
        rcode: RCODE.SERVFAIL,
        options: explained(EXTENDED_ERROR.NOT_READY, "not decided in time"),
      });
    }
    if (verdict.kind === "stale") {
      const { signing } = asked;
      return signing.kind === "verified" ? signing.signStale(bare(asked, RCODE.NOTAUTH)) : refused(asked, "it is old");
    }
    const { rcode, lease, message } = verdict;
    if (rcode !== RCODE.NOERROR)
      return finish(asked, { rcode, options: explained(EXTENDED_ERROR.PROHIBITED, message) });
    const options = lease === null || update.lease === null ? [] : [leaseOption(lease)];
    return finish(asked, { rcode, options });
  }

  #unsignedDevice({ view, client }: Asked): string | null {
    return view.row.unsignedUpdates ? this.#views.deviceAt(view.view, client.address) : null;
  }
}

function refused(asked: Asked, why: string): Uint8Array {
  return finish(asked, { rcode: RCODE.REFUSED, options: explained(EXTENDED_ERROR.PROHIBITED, why) });
}

const explained = (code: number, why: string): EdnsOption[] => [extendedError(code, why)];
