import * as Sentry from "@sentry/nextjs";

// What a test breaks while the server runs: a build takes longer than everything else here.
const breaks = process.env.SHOP_BREAKS;

export async function register() {
  if (process.env.NEXT_RUNTIME === "nodejs" && breaks !== "register") {
    await import("./sentry.server.config");
  }
}

export const onRequestError = breaks === "request-errors" ? undefined : Sentry.captureRequestError;
