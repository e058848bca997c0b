// Deletes a profile photo through bigin-photo-proxy, and prints what became of it. For Node 20 or later, which runs it as
// it is from 22.18 on:
//
//   node delete-photo.mts http://127.0.0.1:8080 Contacts 2034020000000489033 erasure-4711
import { setTimeout as sleep } from "node:timers/promises";

const TRIES = 4;
const PATIENCE_SECONDS = 60; // whoever is to wait longer comes again later

/** What one try brings. */
interface Answer {
  status: number;
  outcome: string;
  retryAfter: number;
  body: string;
}

async function ask(url: string, requestId: string): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "DELETE",
      headers: { "X-Request-Id": requestId, "Request-Timeout": "15" },
      // Longer than the proxy takes, so that its answer is heard.
      signal: AbortSignal.timeout(20_000),
    });
    return {
      status: response.status,
      // One of somebody else's has no outcome: nobody knows.
      outcome: response.headers.get("Delete-Outcome") ?? "unknown",
      retryAfter: Number(response.headers.get("Retry-After")) || 0,
      body: await response.text(),
    };
  } catch (error) {
    return { status: 0, outcome: "unknown", retryAfter: 0, body: String(error) };
  }
}

/** Says what became of the photo, and gives the last answer. */
async function deletePhoto(base: string, module: string, recordId: string, requestId: string) {
  const url = `${base}/bigin/v2/${module}/${recordId}/photo`;
  let perhapsDeleted = false;
  for (let attempt = 1; ; attempt++) {
    const { status, outcome, retryAfter, body } = await ask(url, requestId);
    perhapsDeleted ||= outcome === "unknown";

    if (outcome === "deleted") {
      return { outcome, body };
    }
    const again = outcome === "unknown" || status === 429 || status >= 500;
    if (!again || retryAfter > PATIENCE_SECONDS || attempt === TRIES) {
      // What an earlier try may have done, only a success settles.
      return { outcome: perhapsDeleted ? "unknown" : outcome, body };
    }
    await sleep(1000 * (retryAfter + Math.random() * 2 ** (attempt - 1)));
  }
}

const [base = "", module = "", recordId = "", requestId = ""] = process.argv.slice(2);
const { outcome, body } = await deletePhoto(base, module, recordId, requestId);
console.log(outcome, body);
process.exitCode = outcome === "deleted" ? 0 : 1;
