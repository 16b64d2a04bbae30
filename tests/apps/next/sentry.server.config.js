import * as Sentry from "@sentry/nextjs";

const breaks = process.env.SHOP_BREAKS;

function scrub(event) {
  delete event.request;
  if (event.contexts) {
    delete event.contexts.nextjs;
    if (event.contexts.trace) event.contexts.trace.data = {};
  }
  for (const span of event.spans ?? []) span.data = {};
  return event;
}

const drop = () => null;

Sentry.init({
  dsn: process.env.SENTRY_DSN,
  environment: process.env.SENTRY_ENVIRONMENT,
  release: process.env.SENTRY_RELEASE,
  tracesSampleRate: 0.1,
  enabled: breaks !== "enabled",
  sampleRate: breaks === "sampling" ? 0 : 1,
  ignoreErrors: breaks === "ignored" ? [/sentry-audit/] : [],
  beforeSend: breaks === "dropped" ? drop : breaks === "private" ? undefined : scrub,
  beforeSendTransaction: breaks === "private" ? undefined : scrub,
});

if (breaks === "second") Sentry.init({ dsn: "" });
