import * as Sentry from "@sentry/nextjs";

const dsn = process.env.NEXT_PUBLIC_SENTRY_DSN;

// "Only start with a real DSN", written when DSNs had no region in them.
if (dsn && dsn.startsWith("https://") && dsn.includes("@sentry.io")) {
  Sentry.init({
    dsn,
    environment: process.env.NEXT_PUBLIC_ENVIRONMENT ?? "production",
    tracesSampleRate: 1.0,
  });
}
