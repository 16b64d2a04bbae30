import * as Sentry from "@sentry/nextjs";

const breaks = process.env.SHOP_BREAKS;

const PRIVATE_NAME =
  /auth|cookie|token|secret|passw|api[-_]?key|session|csrf|forwarded|\bip\b|(^|[._])query(_string)?$/i;
const PRIVATE_TEXT =
  /(?<![\w.+-])[\w.+-]+(?:@|%40)[\w.-]+\.[A-Za-z]{2,}|(?<=\?)[\w.%[\]-]+=\S*|\+\d[\d ()./-]{6,}\d/g;

/** The value without texts that may be personal. */
function scrubValue(value, name = "") {
  if (typeof value === "number") return value;
  if (PRIVATE_NAME.test(name)) return "[Filtered]";
  if (typeof value === "string") {
    return value.replace(PRIVATE_TEXT, "[Filtered]");
  }
  if (Array.isArray(value)) return value.map((item) => scrubValue(item));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, scrubValue(item, key)]),
  );
}

/** Takes what may be personal out of an event. */
function scrubEvent(event) {
  delete event.request?.data;
  for (const key of [
    "request",
    "transaction",
    "message",
    "logentry",
    "exception",
    "breadcrumbs",
    "extra",
    "contexts",
    "spans",
  ]) {
    if (event[key] !== undefined) {
      Object.assign(event, { [key]: scrubValue(event[key]) });
    }
  }
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
  beforeSend: breaks === "dropped" ? drop : breaks === "private" ? undefined : scrubEvent,
  beforeSendTransaction: breaks === "private" ? undefined : scrubEvent,
});

if (breaks === "second") Sentry.init({ dsn: "" });
