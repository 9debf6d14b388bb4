import { z } from "zod";
import { exceptionLines, lastingNote } from "../../reducers/doctor/exception.ts";
import type { Finding } from "../../reducers/doctor/finding.ts";
import type { ApiDeps } from "../deps.ts";
import { waitQuery } from "../schemas/fields.ts";
import { doctorSchema, exceptionSchema, type FindingDocument } from "../schemas/doctor.ts";
import type { App } from "../typed-app.ts";

export function registerDoctorRoutes(app: App, { doctor }: Pick<ApiDeps, "doctor">): void {
  app.get(
    "/api/v1/doctor",
    {
      config: { scope: "read" },
      schema: {
        summary: "Looks for what keeps the gateway from working: other firewalls, the machine, the controller itself",
        querystring: z.strictObject(waitQuery),
        response: { 200: doctorSchema },
      },
    },
    async () => {
      const findings = (await doctor()).map(findingView);
      return { healthy: findings.every(({ level }) => level !== "problem"), findings };
    },
  );
}

function findingView({ exception, details, ...finding }: Finding): FindingDocument {
  // A chain or zone whose name cannot be typed safely is left to a person.
  const addable = exception === null ? null : exceptionSchema.safeParse(exception);
  if (exception === null || addable?.data === undefined) return { ...finding, details: [...details], exception: null };
  const commands = exceptionLines(exception);
  return { ...finding, details: [...details], exception: { ...addable.data, commands, note: lastingNote(exception) } };
}
