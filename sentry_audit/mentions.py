"""The strings that the whole tree is searched for, before anything is parsed: one pass serves every question."""

from __future__ import annotations

#: Whatever speaks of Sentry: code, variables, DSNs. Later searches look only into these files.
MENTIONS = ("sentry", "SENTRY", "Sentry")

#: Whatever makes an application object, or a settings class.
APPLICATIONS = (
    "FastAPI(", "Flask(", "Starlette(", "Quart(", "Sanic(", "Litestar(", "get_wsgi_application", "get_asgi_application",
    "functions_framework", "BaseSettings",
)  # fmt: skip

#: Whatever deploys to Cloud Run.
DEPLOYS = (
    "gcloud",
    "knative.dev",
    "google_cloud_run",
    "google_secret_manager_secret",
    "deploy-cloudrun",
    "run.googleapis.com",
)

#: Whatever sets a Content Security Policy; looked for only where a front end has an SDK for browsers.
POLICIES = (
    "Content-Security-Policy", "content-security-policy", "contentSecurityPolicy", "content_security_policy",
    "CONTENT_SECURITY_POLICY", "CSP_CONNECT_SRC", "CSP_DEFAULT_SRC", "SECURE_CSP",
)  # fmt: skip
#: Whatever gives Terraform a variable from outside; looked for only where there is Terraform.
TERRAFORM_VARIABLES = ("TF_VAR_", "-var=", "-var '", '-var "')
#: Whatever tells Sentry of releases or uploads source maps; each contains one of MENTIONS.
RELEASES = (
    "sentry-cli", "@sentry/cli", "getsentry/action-release", "sentry-release", "sentry-upload-sourcemaps",
    "@sentry/netlify-build-plugin", "sentry_create_release", "sentry_upload", "sentry_set_commits", "sentry_finalize_release",
)  # fmt: skip

#: What a waiver in a comment begins with; contains one of MENTIONS.
WAIVER = "sentry-audit:"

#: What the one pass looks for.
TOKENS = (*MENTIONS, *APPLICATIONS, *DEPLOYS)

#: Whatever catches what a component throws while it renders.
BOUNDARIES = ("componentDidCatch", "getDerivedStateFromError", "ErrorBoundary", "useRouteError")
