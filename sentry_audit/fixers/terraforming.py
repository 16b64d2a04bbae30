from sentry_audit.fixing import Refusal


def give(case, deployment, ask):
    return Refusal(reason="x")
