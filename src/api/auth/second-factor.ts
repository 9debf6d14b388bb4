import { Secret } from "../../events/secret.ts";
import type { ApiDeps } from "../deps.ts";
import { invalid } from "../problem.ts";
import { base32, matchingStep, newTotpSecret, otpauthUri, STEPS_ASIDE, totpStep } from "./totp.ts";

const ENROLMENT_MAX_MS = 10 * 60_000;

interface Enrolment {
  readonly secret: Secret;
  readonly until: number;
}

/** Time-based codes: enrolling a device, and checking what it shows. */
export class SecondFactor {
  readonly #deps: Pick<ApiDeps, "controller" | "secrets" | "wallClock">;
  #enrolment: Enrolment | null = null;
  /** Codes up to this step are worth nothing: seen, or perhaps seen before the start. */
  #lastStep: number;

  constructor(deps: Pick<ApiDeps, "controller" | "secrets" | "wallClock">) {
    this.#deps = deps;
    this.#lastStep = totpStep(deps.wallClock());
  }

  /** A new secret to put into a device; it counts once a code of it was shown. The last one begun is the one that can. */
  begin(gateway: string): { readonly secret: string; readonly uri: string } {
    const secret = newTotpSecret();
    this.#enrolment = { secret: new Secret(secret), until: this.#deps.wallClock() + ENROLMENT_MAX_MS };
    return { secret: base32(secret), uri: otpauthUri(secret, gateway) };
  }

  /** What to seal, once the device has shown that it has it. */
  confirm(code: string): Secret {
    const now = this.#deps.wallClock();
    if (this.#enrolment === null || this.#enrolment.until <= now) {
      throw invalid("nothing is being enrolled, or it took more than ten minutes; begin again");
    }
    const { secret } = this.#enrolment;
    // The code is shown to prove the device, not to sign in with: a step before the start is as good.
    const step = matchingStep(secret.expose(), code, now, 0);
    if (step === null)
      throw invalid("that is not the code of now; check the clock of the device and type the next one");
    this.#lastStep = Math.max(this.#lastStep, step);
    return secret;
  }

  enrolled(): void {
    this.#enrolment = null;
  }

  /** Whether a sign-in with this code may go on: true also where no code is asked for. Uses the code up. */
  async accepts(code: string | null): Promise<boolean> {
    const { totp } = this.#deps.controller.state.access;
    if (totp === null) return true;
    const secret = await this.#deps.secrets.open(totp.secretId);
    const now = this.#deps.wallClock();
    // The clock was set back: as at a start, so that nobody waits until it has caught up.
    if (this.#lastStep > totpStep(now) + STEPS_ASIDE) this.#lastStep = totpStep(now);
    const step = code === null ? null : matchingStep(secret.expose(), code, now, this.#lastStep);
    if (step === null) return false;
    this.#lastStep = step;
    return true;
  }
}
