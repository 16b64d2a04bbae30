import { withSentryConfig } from "@sentry/nextjs/config";

export default withSentryConfig(
  {
    output: process.env.NEXT_OUTPUT,
    redirects: async () => [{ source: "/cart", destination: "/orders", permanent: false }],
  },
  { silent: true, telemetry: false, sourcemaps: { disable: true } },
);
