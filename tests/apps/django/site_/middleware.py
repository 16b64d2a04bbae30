import sentry_sdk


class Context:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        sentry_sdk.set_tag("request_id", request.headers.get("X-Request-ID"))
        return self.get_response(request)
