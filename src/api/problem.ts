import { STATUS_CODES } from "node:http";
import { z } from "zod";
import { unreachable } from "../lib/assert.ts";
import { ERROR_CODES, type ErrorCode } from "../lib/errors.ts";
import type { Refusal } from "../reducers/decide/command.ts";

const codes = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

/** RFC 9457. `code` is stable, the texts are for people. */
export const problemSchema = z
  .strictObject({
    type: z.string().describe("where the code is explained"),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe("what happened, why, and what to do next"),
    code: z.enum(codes),
    retryAfter: z.number().int().optional().describe("seconds after which asking again makes sense"),
    conflicts: z.array(z.string()).optional().describe("ids of the ports that stand in the way"),
  })
  .meta({ id: "Problem" });
export type Problem = z.infer<typeof problemSchema>;

/** The one place that says what a code is in HTTP. */
export function httpStatus(code: ErrorCode): number {
  switch (code) {
    case "INVALID_REQUEST":
    case "UNSUPPORTED_PROTOCOL":
    case "HOSTNAME_UNSUPPORTED":
      return 400;
    case "NOT_AUTHORIZED":
    case "NOT_DELEGATED":
    case "APPROVAL_PENDING":
    case "NONCE_MISMATCH":
    case "BLOCKED":
      return 403;
    case "NOT_FOUND":
      return 404;
    case "LOG_REVISION_CONFLICT":
    case "CONFIRMATION_PENDING":
    case "NOT_UNDOABLE":
    case "UNDO_CONFLICT":
    case "CONFLICT":
    case "PORT_TAKEN":
    case "PORT_PROTECTED":
    case "NO_FREE_PORT":
    case "CANNOT_PROVIDE_EXTERNAL":
    case "HOSTNAME_TAKEN":
    case "DNS_NAME_IN_USE":
    case "DNS_NAME_ABSENT":
    case "DNS_RRSET_EXISTS":
    case "DNS_RRSET_ABSENT":
    case "DNS_NOT_ZONE":
    case "DNS_NOT_AUTHORITATIVE":
      return 409;
    case "QUOTA_EXCEEDED":
    case "TOO_MANY_TRIES":
    case "TOO_MANY_FILTERS":
    case "EVENT_QUOTA_EXCEEDED":
      return 429;
    case "CONFIG_INVALID":
    case "PERMISSION":
    case "INTERNAL":
      return 500;
    case "LOG_LOCKED":
    case "LOG_CORRUPT":
    case "LOG_RESTORED":
    case "LOG_WRITE_FAILED":
    case "LOG_NEWER_VERSION":
    case "FOREIGN_INSTANCE":
    case "NOT_READY":
    case "NOT_SETTLED":
    case "APPLY_FAILED":
    case "NO_EXTERNAL_ADDRESS":
    case "SNI_UNAVAILABLE":
    case "UNAVAILABLE":
      return 503;
    case "TIMEOUT":
      return 504;
    default:
      return unreachable(code);
  }
}

/** A request that ends in a problem document. Thrown by routes, caught by the error handler alone. */
export class RequestProblem extends Error {
  override readonly name = "RequestProblem";
  readonly problem: Problem;

  constructor(refusal: Refusal, status: number = httpStatus(refusal.code)) {
    super(refusal.message);
    const { code, message, retryAfter, conflicts } = refusal;
    this.problem = {
      type: `/docs#${code}`,
      title: STATUS_CODES[status] ?? "Error",
      status,
      detail: message,
      code,
      ...(retryAfter !== undefined && { retryAfter }),
      ...(conflicts !== undefined && { conflicts: [...conflicts] }),
    };
  }
}

export function notFound(message: string): RequestProblem {
  return new RequestProblem({ code: "NOT_FOUND", message });
}

/** `seconds` until the next try makes sense. */
export function tooManyTries(message: string, seconds: number): RequestProblem {
  return new RequestProblem({ code: "TOO_MANY_TRIES", message, retryAfter: seconds });
}

/** Nobody has shown who they are, or not well enough. */
export function unauthenticated(message: string): RequestProblem {
  return new RequestProblem({ code: "NOT_AUTHORIZED", message }, 401);
}

export function forbidden(message: string): RequestProblem {
  return new RequestProblem({ code: "NOT_AUTHORIZED", message });
}

export function invalid(message: string): RequestProblem {
  return new RequestProblem({ code: "INVALID_REQUEST", message });
}
