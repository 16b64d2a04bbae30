"""Content Security Policies: how browsers match them, where they stand, and which front end they are about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_audit.csp import HOLE, allows, connect_sources, directives
from sentry_audit.policies import hosting, nginx, python
from tests.trees import audit, findings, message, statuses

if TYPE_CHECKING:
    from pathlib import Path

    from sentry_audit.model import Report

CHECK = "frontend-csp-allows-sentry"
US = "https://o450.ingest.us.sentry.io/api/4501/envelope/"
OLDER = "https://o450.ingest.sentry.io/api/4501/envelope/"
OWN = "https://errors.acme.dev/sentry/api/7/envelope/"
BLOCKS = "default-src 'self'; connect-src 'self' https://api.acme.dev"
ALLOWS = "default-src 'self'; connect-src 'self' https://*.ingest.us.sentry.io"

# --- the matcher ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "url", "expected"),
    [
        ("", US, True),
        ("script-src 'self'", US, True),
        ("default-src 'self'", US, False),
        ("default-src 'none'; connect-src *", US, True),
        ("default-src *; connect-src 'self'", US, False),
        ("connect-src", US, False),
        ("connect-src 'none'", US, False),
        ("CONNECT-SRC HTTPS://O450.INGEST.US.SENTRY.IO", US, True),
        ("connect-src 'self'; connect-src *", US, False),
        ("connect-src https:", US, True),
        ("connect-src http:", US, True),
        ("connect-src data: blob:", US, False),
        ("connect-src *.sentry.io", US, True),
        ("connect-src https://*.sentry.io", OLDER, True),
        ("connect-src sentry.io", US, False),
        ("connect-src *.sentry.io", "https://sentry.io/api/1/envelope/", False),
        ("connect-src https://*.ingest.sentry.io", US, False),
        ("connect-src https://*.ingest.sentry.io", OLDER, True),
        ("connect-src *.evilsentry.io", US, False),
        ("connect-src https://*.ingest.*.sentry.io", US, False),
        ("connect-src https://o*.ingest.us.sentry.io", US, False),
        ("connect-src https://*", US, True),
        ("connect-src o450.ingest.us.sentry.io:443", US, True),
        ("connect-src o450.ingest.us.sentry.io:8443", US, False),
        ("connect-src o450.ingest.us.sentry.io:*", US, True),
        ("connect-src http://o450.ingest.us.sentry.io:80", US, True),
        ("connect-src https://errors.acme.dev", "https://errors.acme.dev:9000/api/7/envelope/", False),
        ("connect-src errors.acme.dev/sentry/", OWN, True),
        ("connect-src errors.acme.dev/sentry", OWN, False),
        ("connect-src errors.acme.dev/", OWN, True),
        ("connect-src errors.acme.dev/*", OWN, False),
        ("connect-src errors.acme.dev/%73entry/", OWN, True),
        ("connect-src https://sentry.example.com", "http://sentry.example.com/api/1/envelope/", False),
        ("connect-src *, connect-src 'self'", US, False),
        ("connect-src *, default-src https:", US, True),
        ("connect-src wss:", US, None),
        ("connect-src wss://api.acme.dev", US, False),
        (f"connect-src 'self' {HOLE}", US, None),
        (f"connect-src {HOLE} https://*.sentry.io", US, True),
        (f"connect-src 'self' https://{HOLE}.supabase.co wss://{HOLE}", US, False),
        (f"connect-src https://api.acme.dev{HOLE}", US, None),
        (f"connect-src https://o{HOLE}.ingest.us.sentry.io", US, None),
        (f"script-src 'nonce-{HOLE}' {HOLE}; connect-src 'self'", US, False),
        (f"default-src 'self'; {HOLE}", US, None),
        (f"{HOLE}; connect-src 'self'", US, None),
        (f"connect-src 'self'; {HOLE}", US, False),
        (HOLE, US, None),
        (f"img-src {HOLE}", US, True),
    ],
)  # fmt: skip
def test_what_a_policy_lets_a_page_connect_to(policy: str, url: str, expected: bool | None) -> None:
    assert allows(policy, url) is expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("default-src 'self'", True),
        ("connect-src 'SELF'", True),
        ("connect-src 'none'", False),
        ("connect-src https:", True),
        ("connect-src *", True),
        ("connect-src https://app.acme.dev", None),
        ("connect-src wss://app.acme.dev", None),
        ("connect-src data:", False),
    ],
)
def test_the_own_origin(policy: str, expected: bool | None) -> None:
    assert allows(policy, "https://page.invalid/tunnel", same_origin=True) is expected


def test_of_two_directives_of_one_name_the_first_counts() -> None:
    assert directives("a b; A c;; d") == {"a": ["b"], "d": []}
    assert connect_sources("img-src *") is None


LABELS = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)


@given(HOSTS, st.lists(HOSTS, max_size=4), st.sampled_from(["", "https://", "http://", "HTTPS://"]))
def test_a_policy_that_lists_a_host_lets_it_pass(host: str, others: list[str], scheme: str) -> None:
    policy = "default-src 'none'; connect-src " + " ".join([*others, scheme + host])
    assert allows(policy, f"https://{host}/api/1/envelope/") is True


@given(HOSTS, st.lists(HOSTS, max_size=4))
def test_a_policy_without_a_host_never_lets_it_pass(host: str, others: list[str]) -> None:
    policy = "connect-src 'self' " + " ".join(other for other in others if other != host)
    assert allows(policy, f"https://{host}/api/1/envelope/") is False


@given(st.text(max_size=80), st.booleans())
def test_any_text_is_decided(policy: str, same_origin: bool) -> None:
    assert allows(policy, US, same_origin) in {True, False, None}


@given(HOSTS, HOSTS, st.text(alphabet="abc.:/*' ", max_size=10))
def test_what_is_not_known_is_never_decided_against_what_it_may_be(host: str, other: str, filling: str) -> None:
    open_ = allows(f"connect-src {other} {HOLE}", f"https://{host}/")
    closed = allows(f"connect-src {other} {filling}", f"https://{host}/")
    assert open_ in {None, closed}


# --- where policies stand ------------------------------------------------------------------------

ENV_DSN = "import * as Sentry from '@sentry/nextjs';\nSentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n"
VITE_DSN = "import * as Sentry from '@sentry/react';\nSentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });\n"


def next_app(init: str = ENV_DSN, **files: str) -> dict[str, str]:
    manifest = {"scripts": {"build": "next build"}, "dependencies": {"next": "15.3.0", "@sentry/nextjs": "^10"}}
    return {
        "web/package.json": json.dumps(manifest),
        "web/instrumentation-client.ts": init,
        **{f"web/{name}": text for name, text in files.items()},
    }


def vite_app(init: str = VITE_DSN, folder: str = "web/", head: str = "", **files: str) -> dict[str, str]:
    manifest = {
        "scripts": {"build": "vite build"},
        "dependencies": {"react": "19", "@sentry/react": "^10"},
        "devDependencies": {"vite": "7"},
    }
    return {
        f"{folder}package.json": json.dumps(manifest),
        f"{folder}index.html": f'<head>{head}</head><script type="module" src="/src/main.tsx"></script>',
        f"{folder}src/main.tsx": init,
        **{f"{folder}{name}": text for name, text in files.items()},
    }


def verdict(root: Path, files: dict[str, str], environment: str = "staging") -> str:
    """The one status of the check on the front end."""
    [status] = statuses(audit(root, files, environment), CHECK, "web")
    return status


def headers(value: str, source: str = "/(.*)", before: str = "", name: str = "'Content-Security-Policy'") -> str:
    rule = f"{{ source: '{source}', headers: [{{ key: {name}, value: {value} }}] }}"
    return f"{before}\nmodule.exports = {{ async headers() {{ return [{rule}]; }} }};\n"


def test_without_a_policy_there_is_nothing_to_judge(tmp_path: Path) -> None:
    assert verdict(tmp_path, next_app()) == "skipped"


DYNAMIC = "`default-src 'self'; connect-src 'self' ${process.env.API_URL}`"
JOINED = 'const csp = [\n  "default-src \'self\'",\n  %s\n].join("; ");'
TABLE = (
    "const table = { 'default-src': [\"'self'\"], 'connect-src': [\"'self'\"%s] };\nconst csp = Object.entries(table)\n"
)
TABLE += "  .map(([key, values]) => `${key} ${values.join(' ')}`)\n  .join('; ');"
BUILT = "const isDev = process.env.NODE_ENV !== 'production';\nfunction build() {\n  const all = `\n    default-src 'self';\n"
BUILT += "    connect-src 'self' ${isDev ? 'ws: *' : '%s'};\n  `;\n  return all.replace(/\\s{2,}/g, ' ').trim();\n}"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (headers(f'"{BLOCKS}"'), "gap"),
        (headers(f'"{ALLOWS}"'), "pass"),
        (headers(f'"{BLOCKS}"', name="'content-security-policy'"), "gap"),
        (headers(f'"{BLOCKS}"', name="'Content-Security-Policy-Report-Only'"), "skipped"),
        (headers("csp", before=JOINED % "\"connect-src 'self' https://*.sentry.io\""), "pass"),
        (headers("csp", before=JOINED % "\"connect-src 'self'\""), "gap"),
        (headers("csp.replace(/\\n/g, '')", before=f"const csp = `{BLOCKS};\n`;"), "gap"),
        (headers("csp", before=TABLE % ""), "gap"),
        (headers("csp", before=TABLE % ", 'https://*.sentry.io'"), "pass"),
        (headers("build()", before=BUILT % ""), "gap"),
        (headers("build()", before=BUILT % "https://*.sentry.io"), "pass"),
        (headers(DYNAMIC), "unknown"),
        (headers(DYNAMIC.replace("${process", "https://*.sentry.io ${process")), "pass"),
        (headers("process.env.CSP"), "unknown"),
        (headers("`connect-src 'self' https://${process.env.REF}.supabase.co`"), "gap"),
        (headers("a", before=f'const a = "{BLOCKS}" + extra();'), "unknown"),
        (headers(f'process.env.NODE_ENV === "development" ? "{BLOCKS}" : "{ALLOWS}"'), "pass"),
        (headers(f'process.env.STRICT ? "{BLOCKS}" : "{ALLOWS}"'), "unknown"),
        (headers(f'process.env.STRICT ? "{BLOCKS}" : "default-src \'self\'"'), "gap"),
        (headers(f'"{BLOCKS}"', source="/api/:path*"), "skipped"),
        (headers(f'"{BLOCKS}"', source="/sw.js"), "skipped"),
        (headers(f'"{BLOCKS}"', source="/embed/:path*"), "unknown"),
        (headers(f'"{BLOCKS}"', source="/((?!api).*)"), "gap"),
        ("module.exports = { images: { contentSecurityPolicy: \"default-src 'self'; sandbox;\" } };\n", "skipped"),
        (headers("csp", before="const csp = 'default-src https:; frame-ancestors none';"), "pass"),
        ("module.exports = { headers: () => [{ key: 'Content-Security-Policy', value: ",  "unknown"),
        (headers(f'"{BLOCKS}"').replace("return", "if (process.env.ON) return"), "unknown"),
    ],
)  # fmt: skip
def test_headers_of_next(tmp_path: Path, config: str, expected: str) -> None:
    assert verdict(tmp_path, next_app(**{"next.config.js": config})) == expected


MIDDLEWARE = """\
import { NextResponse } from 'next/server';
import { origins } from './lib/origins';
export function middleware(request) {
  const nonce = crypto.randomUUID();
  if (request.nextUrl.pathname.startsWith('/api')) return NextResponse.next();
  const csp = `default-src 'self'; script-src 'self' 'nonce-${nonce}'; connect-src 'self' ${origins.join(' ')}`;
  const response = NextResponse.next();
  response.headers.set('Content-Security-Policy', csp);
  return response;
}
"""


@pytest.mark.parametrize(
    ("origins", "expected"),
    [
        ("export const origins = ['https://api.acme.dev'];", "gap"),
        ("export const origins = ['https://api.acme.dev', 'https://*.sentry.io'];", "pass"),
        ("export const origins = [process.env.API];", "unknown"),
        ("const more = ['https://*.sentry.io'];\nexport const origins = ['https://a.dev', ...more];", "pass"),
        ("export const origins = ['https://a.dev', ...(isDev ? ['ws:'] : [])].filter(Boolean);", "gap"),
        ("export const origins = ['https://a.dev'];\nif (extra) {\n  origins.push(extra);\n}", "unknown"),
    ],
)
@pytest.mark.parametrize("name", ["middleware.ts", "proxy.ts"])
def test_middleware_of_next(tmp_path: Path, name: str, origins: str, expected: str) -> None:
    assert verdict(tmp_path, next_app(**{name: MIDDLEWARE, "lib/origins.ts": origins})) == expected


def test_a_policy_only_for_some_paths_of_middleware_is_no_gap(tmp_path: Path) -> None:
    code = "export function middleware(req, res) {\n  if (req.nextUrl.pathname.startsWith('/embed')) {\n"
    code += f"    res.headers.set('Content-Security-Policy', \"{BLOCKS}\");\n  }}\n}}\n"
    assert verdict(tmp_path / "a", next_app(**{"middleware.ts": code})) == "unknown"
    code = code.replace("if (req", "if (!req")
    assert verdict(tmp_path / "b", next_app(**{"middleware.ts": code})) == "gap"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f'http-equiv="Content-Security-Policy" content="{BLOCKS}"', "gap"),
        (f'content="{ALLOWS}"\n  http-equiv="content-security-policy"', "pass"),
        ('http-equiv="Content-Security-Policy" content="connect-src &#39;self&#39; https://*.sentry.io"', "pass"),
        ("http-equiv=\"Content-Security-Policy\" content=\"connect-src 'self' %VITE_API_URL%\"", "unknown"),
        ("http-equiv=\"Content-Security-Policy\" content=\"connect-src 'self' {{origins}}\"", "unknown"),
        (f'http-equiv="Content-Security-Policy-Report-Only" content="{BLOCKS}"', "skipped"),
    ],
)  # fmt: skip
def test_meta_elements(tmp_path: Path, content: str, expected: str) -> None:
    assert verdict(tmp_path, vite_app(head=f"\n<meta {content} />")) == expected


def test_a_meta_element_in_a_comment_or_in_another_document_does_not_count(tmp_path: Path) -> None:
    meta = f'<meta http-equiv="Content-Security-Policy" content="{BLOCKS}">'
    files = vite_app(head=f"<!-- {meta} -->", **{"public/embed.html": meta, "src/mail/index.html": meta})
    assert verdict(tmp_path, files) == "skipped"


def test_a_meta_element_in_jsx(tmp_path: Path) -> None:
    page = 'export default function D() {\n  return <Head><meta httpEquiv="Content-Security-Policy" content={csp} /></Head>;\n}\n'
    files = next_app(**{"pages/_document.tsx": f'const csp = "{BLOCKS}";\n{page}'})
    report = audit(tmp_path, files)
    assert statuses(report, CHECK, "web") == {"gap"}
    assert "web/pages/_document.tsx:3" in message(report, CHECK)


SERVER = "server {\n  listen 8080;\n  %s\n  location / {\n    %s\n    try_files $uri /index.html;\n  }\n  %s\n}\n"
ADD = 'add_header Content-Security-Policy "%s" always;'


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SERVER % (ADD % BLOCKS, "", ""), "gap"),
        (SERVER % (ADD % ALLOWS, "", ""), "pass"),
        (SERVER % ("", ADD % BLOCKS, ""), "gap"),
        (SERVER % (ADD % BLOCKS, 'add_header Cache-Control "no-store";', ""), "skipped"),  # which drops the server's
        (SERVER % ("", "", "location /api { " + ADD % "default-src 'none'" + " }"), "skipped"),
        (SERVER % ("", "", "location ~* \\.(js|css)$ { " + ADD % "default-src 'none'" + " }"), "skipped"),
        (SERVER % ("", "", "location /embed { " + ADD % BLOCKS + " }"), "unknown"),
        (SERVER % ("", "", "location = /index.html { " + ADD % BLOCKS + " }"), "gap"),
        (SERVER % ("# " + ADD % BLOCKS, "", ""), "skipped"),
        (SERVER % ((ADD % BLOCKS).replace("; ", ";\n    "), "", ""), "gap"),
        (SERVER % (f'set $csp "{BLOCKS}"; add_header Content-Security-Policy $csp;', "", ""), "gap"),
        (SERVER % (ADD % "default-src 'self'; connect-src 'self' ${SENTRY_ORIGIN}", "", ""), "unknown"),
        (SERVER % ((ADD % BLOCKS).replace("Policy", "Policy-Report-Only"), "", ""), "skipped"),
        (ADD % BLOCKS, "gap"),
        ("http {\n" + SERVER % (ADD % BLOCKS, "", "") + "}\n", "gap"),
    ],
)
@pytest.mark.parametrize("name", ["web/nginx.conf", "deploy/nginx/templates/default.conf.template"])
def test_nginx(tmp_path: Path, name: str, config: str, expected: str) -> None:
    assert verdict(tmp_path, {**vite_app(), name: config}) == expected


def test_nginx_of_development_does_not_count(tmp_path: Path) -> None:
    files = {**vite_app(), "web/nginx.dev.conf": SERVER % (ADD % BLOCKS, "", "")}
    assert verdict(tmp_path, files) == "skipped"


def test_a_policy_of_another_environment_does_not_count(tmp_path: Path) -> None:
    files = {**vite_app(), "web/nginx.production.conf": SERVER % (ADD % BLOCKS, "", "")}
    assert verdict(tmp_path / "a", files) == "skipped"
    assert verdict(tmp_path / "b", files, "production") == "gap"


def test_nginx_in_front_of_one_of_two_front_ends(tmp_path: Path) -> None:
    two = {**vite_app(), **vite_app(folder="admin/"), "deploy/nginx.conf": SERVER % (ADD % BLOCKS, "", "")}
    report = audit(tmp_path / "a", two)
    assert statuses(report, CHECK, "web") == statuses(report, CHECK, "admin") == {"unknown"}
    two["Dockerfile"] = (
        "FROM node AS b\nCOPY web/ .\nRUN npm run build\nFROM nginx\nCOPY deploy/nginx.conf /etc/nginx/\n"
    )
    report = audit(tmp_path / "b", two)
    assert statuses(report, CHECK, "web") == {"gap"}
    assert statuses(report, CHECK, "admin") == {"skipped"}


def rule(value: str, source: str = "/(.*)") -> str:
    return json.dumps(
        {"headers": [{"source": source, "headers": [{"key": "Content-Security-Policy", "value": value}]}]}
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vercel.json", rule("%s")),
        ("serve.json", rule("%s", "**")),
        ("firebase.json", f'{{"hosting": {rule("%s", "**")}}}'),
        ("staticwebapp.config.json", '{"globalHeaders": {"content-security-policy": "%s"}} // note'),
        ("netlify.toml", '[[headers]]\nfor = "/*"\n[headers.values]\nContent-Security-Policy = "%s"\n'),
        ("public/_headers", "/*\n  X-Frame-Options: DENY\n  Content-Security-Policy: %s\n"),
        ("Caddyfile", 'app.acme.dev {\n  header Content-Security-Policy "%s"\n}\n'),
        ("public/.htaccess", 'Header always set Content-Security-Policy "%s"\n'),
    ],
)
def test_hosts_of_static_files(tmp_path: Path, name: str, text: str) -> None:
    for folder in ("web/", "" if "public" not in name else "web/"):
        for policy, expected in ((BLOCKS, "gap"), (ALLOWS, "pass")):
            files = {**vite_app(), f"{folder}{name}": text.replace("%s", policy)}
            assert verdict(tmp_path / f"{folder}{expected}", files) == expected


def test_the_lines_of_policies_of_hosts() -> None:
    text = '{\n "headers": [\n  {"source": "/(.*)", "headers": [\n   {"key": "Content-Security-Policy", "value": "img-src *"}]}]}'
    assert [item.evidence.line for item in hosting.read("vercel.json", text)] == [4]
    assert [item.unread for item in hosting.read("vercel.json", "{")] == ["vercel.json could not be parsed"]
    assert [item.unread for item in hosting.read("netlify.toml", "=")] == ["netlify.toml could not be parsed"]


def test_routes_of_hosts_that_no_page_answers_do_not_count(tmp_path: Path) -> None:
    assert verdict(tmp_path / "a", {**vite_app(), "vercel.json": rule(BLOCKS, "/api/(.*)")}) == "skipped"
    assert verdict(tmp_path / "b", {**vite_app(), "vercel.json": rule(BLOCKS, "/embed/(.*)")}) == "unknown"


HELMET = (
    "import helmet from 'helmet';\napp.use(helmet({ contentSecurityPolicy: %s }));\napp.use(express.static('dist'));\n"
)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{ directives: { connectSrc: [\"'self'\"] } }", "gap"),
        ("{ directives: { connectSrc: [\"'self'\", 'https://*.sentry.io'] } }", "pass"),
        ("{ directives: { 'connect-src': [\"'self'\", process.env.API] } }", "unknown"),
        ("{ directives: { scriptSrc: [\"'self'\"] } }", "gap"),
        ("{ useDefaults: false, directives: { scriptSrc: [\"'self'\"] } }", "pass"),
        ("{ directives: { ...helmet.contentSecurityPolicy.getDefaultDirectives(), connectSrc: ['*'] } }", "pass"),
        ("{ directives: { defaultSrc: [\"'self'\"], connectSrc: null } }", "gap"),
        ("{ reportOnly: true, directives: { connectSrc: [\"'self'\"] } }", "skipped"),
        ("{ reportOnly: flag, directives: { connectSrc: [\"'self'\"] } }", "unknown"),
        ("{ directives: Object.assign({ imgSrc: ['*'] }, { connectSrc: ['*'] }, more) }", "pass"),
        ("{ directives: Object.assign({ connectSrc: [\"'self'\"] }, { imgSrc: ['*'] }) }", "gap"),
        ("false", "skipped"),
        ("isProd ? { directives: { connectSrc: [\"'self'\"] } } : false", "gap"),
        ("process.env.NODE_ENV === 'production' ? false : { directives: { connectSrc: [\"'self'\"] } }", "skipped"),
        ("options", "unknown"),
    ],
)
def test_helmet(tmp_path: Path, options: str, expected: str) -> None:
    assert verdict(tmp_path, vite_app(**{"server.js": HELMET % options})) == expected


def test_a_server_of_another_package_counts_if_it_serves_the_front_end(tmp_path: Path) -> None:
    files = {**vite_app(), "api/package.json": '{"dependencies": {"express": "5"}}'}
    files["api/app.ts"] = HELMET % "{ directives: { connectSrc: [\"'self'\"] } }"
    assert verdict(tmp_path / "a", files) == "gap"
    files["api/app.ts"] = files["api/app.ts"].replace("express.static('dist')", "routes")
    assert verdict(tmp_path / "b", files) == "skipped"


def test_svelte_kit(tmp_path: Path) -> None:
    manifest = {"scripts": {"build": "vite build"}, "dependencies": {"@sveltejs/kit": "2", "@sentry/sveltekit": "^10"}}
    config = "export default { kit: { csp: { mode: 'auto', directives: { 'connect-src': ['self'%s] } } } };\n"
    files = {
        "web/package.json": json.dumps(manifest),
        "web/src/hooks.client.ts": VITE_DSN.replace("react", "sveltekit").replace("VITE_", "PUBLIC_"),
        "web/svelte.config.js": config % "",
    }
    assert verdict(tmp_path / "a", files) == "gap"
    files["web/svelte.config.js"] = config % ", '*.sentry.io'"
    assert verdict(tmp_path / "b", files) == "pass"


def test_headers_of_a_development_server_do_not_count(tmp_path: Path) -> None:
    config = (
        f"export default defineConfig({{ server: {{ headers: {{ 'Content-Security-Policy': \"{BLOCKS}\" }} }} }});\n"
    )
    assert verdict(tmp_path / "a", vite_app(**{"vite.config.ts": config})) == "skipped"
    config = f"const headers = {{ 'Content-Security-Policy': \"{BLOCKS}\" }};\n"
    config += "export default defineConfig({ server: { headers }, preview: { headers } });\n"
    assert verdict(tmp_path / "b", vite_app(**{"vite.config.ts": config})) == "skipped"


# --- back ends that serve the page ---------------------------------------------------------------

PYTHON = [
    'response.headers["Content-Security-Policy"] = "connect-src \'self\'%s"',
    'CSP = "; ".join([\n    "default-src \'self\'",\n    "connect-src \'self\'%s",\n])\nr.headers["content-security-policy"] = CSP',
    "csp = {\"default-src\": \"'self'\", \"connect-src\": [\"'self'\", \"%s\"]}\nTalisman(app, content_security_policy=csp)",
    "CSP_DEFAULT_SRC = (\"'self'\",)\nCSP_CONNECT_SRC = CSP_DEFAULT_SRC + (\"%s\",)",
    'CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"connect-src": [SELF, "%s"]}}',
    'from django.utils.csp import CSP\nSECURE_CSP = {"default-src": [CSP.SELF], "connect-src": [CSP.SELF, "%s"]}',
    'HEADERS = {"Content-Security-Policy": f"script-src \'nonce-{nonce}\'; connect-src \'self\' %s"}',
    'headers.append((b"content-security-policy", b"connect-src \'self\' %s"))',
    "d = {\"connect-src\": \"'self' %s\"}\nh.set(\"Content-Security-Policy\", \"; \".join(f\"{k} {v}\" for k, v in d.items()))",
]  # fmt: skip


@pytest.mark.parametrize("code", PYTHON)
def test_policies_in_python(code: str) -> None:
    for host, expected in (("", False), (" https://*.sentry.io", True)):
        policies = python.read("app.py", code.replace("%s", host.strip() if '"%s"' in code else host) + "\n")
        assert [{allows(text, US) for text in item.texts} for item in policies] == [{expected}]


@pytest.mark.parametrize(
    "code",
    [
        "CSP_REPORT_ONLY = True\nCSP_CONNECT_SRC = (\"'self'\",)",
        'r.headers["Content-Security-Policy-Report-Only"] = "connect-src \'self\'"',
        "Talisman(app, content_security_policy=csp, content_security_policy_report_only=True)",
        "Talisman(app, content_security_policy=None)",
        "CONTENT_SECURITY_POLICY_REPORT_ONLY = {'DIRECTIVES': {'connect-src': [SELF]}}",
        'if settings.DEBUG:\n    r.headers["Content-Security-Policy"] = "connect-src \'self\'"',
    ],
)
def test_python_that_blocks_nothing(code: str) -> None:
    assert python.read("app.py", code) == []


def test_python_whose_parts_are_not_known() -> None:
    code = 'sources = ["\'self\'"]\nsources.append(url)\nh["Content-Security-Policy"] = "connect-src " + " ".join(sources)\n'
    code += 'h["Content-Security-Policy"] = "connect-src \'self\' {api}".format(api=api)\n'
    code += 'h["Content-Security-Policy"] = "connect-src \'self\'" if settings.debug else "connect-src *"\n'
    found = [[allows(text, US) for text in item.texts] for item in python.read("app.py", code)]
    assert found == [[None], [None], [True]]
    assert python.read("app.py", "def broken(:\n")[0].unread == "app.py could not be parsed"


MIDDLE = """\
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
app = FastAPI()
%s

@app.middleware("http")
async def secure(request, call_next):
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = "; ".join(["default-src 'self'", "frame-ancestors 'none'"])
    return response
"""


def test_a_back_end_counts_only_if_it_serves_the_front_end(tmp_path: Path) -> None:
    api = {"backend/requirements.txt": "fastapi\n", "backend/main.py": MIDDLE % ""}
    assert verdict(tmp_path / "a", {**vite_app(), **api}) == "skipped"
    api["backend/main.py"] = MIDDLE % 'app.mount("/", StaticFiles(directory="../web/dist", html=True))'
    assert verdict(tmp_path / "b", {**vite_app(), **api}) == "gap"
    assert verdict(tmp_path / "c", {**next_app(), **api}) == "skipped"


def test_the_settings_of_a_project_whose_views_serve_the_page(tmp_path: Path) -> None:
    files = {
        **vite_app(),
        "server/manage.py": "import django\n",
        "server/config/settings.py": 'CSP_DEFAULT_SRC = ("\'self\'",)\nCSP_IMG_SRC = ("*",)\n',
        "server/core/urls.py": 'urlpatterns = [re_path(".*", TemplateView.as_view(template_name="index.html"))]\n',
        "other/views.py": 'TemplateView.as_view(template_name="index.html")\n',
    }
    assert verdict(tmp_path / "a", files) == "gap"
    del files["server/core/urls.py"]
    assert verdict(tmp_path / "b", files) == "skipped"


# --- what the browser must reach -----------------------------------------------------------------

DSN = "https://0123456789abcdef0123456789abcde1@%s/42"


def one(tmp_path: Path, policy: str, init: str = VITE_DSN) -> Report:
    return audit(tmp_path, {**vite_app(init), "web/nginx.conf": SERVER % (ADD % policy, "", "")})


@pytest.mark.parametrize(
    ("sources", "expected", "said"),
    [
        ("https://*.ingest.us.sentry.io", "pass", ""),
        ("https://*.ingest.de.sentry.io", "pass", ""),
        ("https://*.ingest.sentry.io", "unknown", "lets only sentry.io (older) pass"),
        ("https://o123456.ingest.us.sentry.io", "pass", ""),
        ("https://o467221.ingest.us.sentry.io/api/6610580/", "pass", ""),
        ("https://sentry.io https://browser.sentry-cdn.com", "gap", "not to Sentry's ingest host"),
        ("https://sentry.acme.dev", "pass", ""),
        ("https://glitchtip.acme.dev", "pass", ""),
        ("https:", "pass", ""),
    ],
)  # fmt: skip
def test_which_kinds_of_dsn_pass(tmp_path: Path, sources: str, expected: str, said: str) -> None:
    report = one(tmp_path, f"connect-src 'self' {sources}")
    assert statuses(report, CHECK, "web") == {expected}
    assert said in message(report, CHECK)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("o1.ingest.us.sentry.io", "pass"), ("o1.ingest.de.sentry.io", "gap"), ("sentry.acme.dev", "gap")],
)
def test_a_known_host_must_pass_itself(tmp_path: Path, host: str, expected: str) -> None:
    report = one(tmp_path / "a", ALLOWS, VITE_DSN.replace("import.meta.env.VITE_SENTRY_DSN", f"'{DSN % host}'"))
    assert statuses(report, CHECK, "web") == {expected}
    files = {**vite_app(), "web/nginx.conf": SERVER % (ADD % ALLOWS, "", "")}
    files["web/.env.production"] = f"VITE_SENTRY_DSN={DSN % host}\n"
    assert statuses(audit(tmp_path / "b", files, "production"), CHECK, "web") == {expected}


def test_several_policies_must_all_let_pass(tmp_path: Path) -> None:
    meta = '<meta http-equiv="Content-Security-Policy" content="connect-src \'self\' *.ingest.de.sentry.io">'
    files = {**vite_app(head=meta), "web/nginx.conf": SERVER % (ADD % ALLOWS, "", "")}
    report = audit(tmp_path, files)
    assert statuses(report, CHECK, "web") == {"gap"}
    assert "no DSN can pass both" in message(report, CHECK)


GUARDED = "import * as Sentry from '@sentry/react';\nconst dsn = import.meta.env.VITE_SENTRY_DSN;\n"
GUARDED += "if (dsn && dsn.includes('.ingest.sentry.io')) {\n  Sentry.init({ dsn });\n}\n"


def test_a_guard_and_a_policy_that_no_dsn_can_pass_both(tmp_path: Path) -> None:
    report = one(tmp_path / "a", ALLOWS, GUARDED)
    assert statuses(report, CHECK, "web") == {"gap"}
    said = message(report, CHECK)
    assert "no DSN can pass both: the guard at web/src/main.tsx:3 rejects sentry.io (US, EU) and self-hosted" in said
    assert "the policy at web/nginx.conf:3 blocks sentry.io (EU, older)" in said
    assert statuses(one(tmp_path / "b", "connect-src https://*.sentry.io", GUARDED), CHECK, "web") == {"pass"}


# --- tunnels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tunnel", "policy", "expected"),
    [
        ("'/monitoring'", "connect-src 'self'", "pass"),
        ("true", "default-src 'self'", "pass"),
        ("'/monitoring'", "connect-src https://api.acme.dev", "unknown"),  # which may be the page's own
        ("'/monitoring'", "connect-src 'none'", "gap"),
        ("'https://t.acme.dev/s'", "connect-src 'self'", "gap"),
        ("'https://t.acme.dev/s'", "connect-src 'self' t.acme.dev", "pass"),
        ("import.meta.env.VITE_TUNNEL", "connect-src 'self'", "unknown"),
        ("import.meta.env.VITE_TUNNEL", "default-src https:", "pass"),
        ("import.meta.env.DEV ? undefined : '/t'", "connect-src 'self'", "pass"),
        ("undefined", "connect-src 'self'", "gap"),
    ],
)
def test_a_tunnel_of_init(tmp_path: Path, tunnel: str, policy: str, expected: str) -> None:
    init = VITE_DSN.replace("dsn:", f"tunnel: {tunnel}, dsn:")
    assert statuses(one(tmp_path, policy, init), CHECK, "web") == {expected}


def test_options_that_are_spread_may_hold_a_tunnel(tmp_path: Path) -> None:
    report = one(tmp_path, "connect-src 'self'", VITE_DSN.replace("dsn:", "...common, dsn:"))
    assert statuses(report, CHECK, "web") == {"unknown"}


def test_options_that_are_spread_and_known_hold_no_tunnel(tmp_path: Path) -> None:
    files = vite_app(
        "import { common } from './common';\n"
        + VITE_DSN.replace("dsn:", "...common, ...(on ? { debug: true } : {}), dsn:"),
        **{"src/common.ts": "export const common = { tracesSampleRate: 0.1 };\n"},
    )
    files["web/nginx.conf"] = SERVER % (ADD % "connect-src 'self'", "", "")
    assert verdict(tmp_path / "a", files) == "gap"
    files["web/src/common.ts"] = "export const common = { tunnel: '/t' };\n"
    assert verdict(tmp_path / "b", files) == "unknown"


def test_the_tunnel_of_next_takes_hosts_of_sentry_io_only(tmp_path: Path) -> None:
    config = headers("\"connect-src 'self'\"").replace("module.exports = {", "module.exports = withSentryConfig({")
    config = config.replace("} };", "} }, { tunnelRoute: '/monitoring' });")
    assert verdict(tmp_path / "a", next_app(**{"next.config.js": config})) == "pass"
    hosted = ENV_DSN.replace("process.env.NEXT_PUBLIC_SENTRY_DSN", f"'{DSN % 'sentry.acme.dev'}'")
    assert verdict(tmp_path / "b", next_app(hosted, **{"next.config.js": config})) == "gap"
    commented = config.replace("{ tunnelRoute: '/monitoring' }", "{ /* tunnelRoute: '/monitoring' */ }")
    assert verdict(tmp_path / "c", next_app(**{"next.config.js": commented})) == "gap"


# --- bad input -----------------------------------------------------------------------------------


@given(st.text(max_size=200))
def test_no_text_breaks_a_reader(text: str) -> None:
    list(nginx.read("nginx.conf", text))
    python.read("settings.py", text)
    for name in ("vercel.json", "netlify.toml", "_headers", "index.html", "Caddyfile"):
        list(hosting.read(name, text))


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'none'; img-src 'self'; sandbox",
        "default-src 'self'; script-src 'none'",
        "default-src 'self'; sandbox",
    ],
)
def test_a_policy_under_which_no_script_runs_is_of_no_page(tmp_path: Path, policy: str) -> None:
    code = f"export const loader = () => new Response(image, {{ headers: {{ 'Content-Security-Policy': \"{policy}\" }} }});\n"
    assert verdict(tmp_path, next_app(**{"app/uploads.tsx": code})) == "skipped"


@pytest.mark.parametrize("name", ["pages/api/prover.ts", "app/embed/route.ts", "src/app/feed/route.ts"])
def test_what_a_handler_sets_on_its_own_answer_is_of_no_page(tmp_path: Path, name: str) -> None:
    code = f"export default (req, res) => {{ res.setHeader('Content-Security-Policy', \"{BLOCKS}\"); }};\n"
    assert verdict(tmp_path, next_app(**{name: code})) == "skipped"


def test_a_configuration_that_a_dockerfile_writes(tmp_path: Path) -> None:
    image = "FROM nginx\nCOPY . .\nRUN printf 'server_tokens off;\\n\\\n%s\\n\\\n' > /etc/nginx/security.conf\n"
    shell = (ADD % BLOCKS).replace("'", "'\"'\"'")
    report = audit(tmp_path / "a", {**vite_app(), "web/Dockerfile": image % shell})
    assert statuses(report, CHECK, "web") == {"gap"}
    assert "web/Dockerfile:4 " in message(report, CHECK)
    files = {**vite_app(), "web/Dockerfile": image % "$header Content-Security-Policy $policy;"}
    assert verdict(tmp_path / "b", files) == "unknown"


def test_a_gap_names_the_place_and_what_would_close_it(tmp_path: Path) -> None:
    [found] = [item for item in findings(one(tmp_path, BLOCKS), CHECK, "web") if item.status.value == "gap"]
    assert found.message == (
        "the policy at web/nginx.conf:3 lets pages connect to 'self' https://api.acme.dev, not to Sentry's ingest host, "
        "and there is no tunnel"
    )
    assert [str(item) for item in found.evidence] == ["web/nginx.conf:3"]
