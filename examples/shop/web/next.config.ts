import { withSentryConfig } from "@sentry/nextjs";

export default withSentryConfig(
  {},
  {
    org: process.env.SENTRY_ORG,
    project: process.env.SENTRY_PROJECT,
    authToken: process.env.SENTRY_AUTH_TOKEN,
    silent: !process.env.CI,
  },
);
