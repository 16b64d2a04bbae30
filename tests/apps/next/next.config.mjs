import { withSentryConfig } from "@sentry/nextjs/config";

export default withSentryConfig(
  { output: process.env.NEXT_OUTPUT },
  { silent: true, telemetry: false, sourcemaps: { disable: true } },
);
