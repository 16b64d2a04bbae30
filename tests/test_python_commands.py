"""Python scripts that deploy: which commands they build, for which environments."""

from __future__ import annotations

from time import process_time

import pytest

from tests.test_deployments import deployments, only, variables

BODY = '    subprocess.run(["gcloud", "run", "deploy", f"{service}-{env}", "--update-secrets=SENTRY_DSN=dsn-" + env + ":1"])\n'
DEPLOY = f'def deploy(env, service="shop"):\n{BODY}\n'
BOTH = {("shop-production", "production", "dsn-production"), ("shop-staging", "staging", "dsn-staging")}


def found(code: str) -> set[tuple[str, str, str]]:
    return {
        (item.service, item.environment, variables(item).get("SENTRY_DSN", ("", ""))[1])
        for item in deployments({"run.py": code})
    }


@pytest.mark.parametrize(
    "calls",
    [
        'deploy("staging")\ndeploy(env="production")\n',
        'for env in ["staging", "production"]:\n    deploy(env)\n',
        'ENVS = ("staging", "production")\ndef main():\n    for env in ENVS:\n        deploy(env)\nmain()\n',
        (
            'ENVIRONMENTS = {"staging": {"service": "shop"}, "production": {"service": "shop"}}\n'
            'for name, cfg in ENVIRONMENTS.items():\n    deploy(name, cfg["service"])\n'
        ),
        'for name in {"staging": 1, "production": 2}:\n    deploy(name)\n',
        'def main(args):\n    if args.env == "staging":\n        deploy("staging")\n    else:\n        deploy("production")\n',
        'parser.add_argument("--env", choices=["staging", "production"])\nargs = parser.parse_args()\ndeploy(args.env)\n',
        (
            'NAMES = ["staging", "production"]\nparser.add_argument("-e", "--env", choices=NAMES)\n'
            "def main():\n    args = parser.parse_args()\n    target = args.env\n    deploy(target, service='shop')\nmain()\n"
        ),
        'def release(name):\n    deploy(name)\nrelease("staging")\nrelease("production")\n',
    ],
)
def test_one_deployment_for_each_known_argument(calls: str) -> None:
    assert found(f"import subprocess\n{DEPLOY}{calls}") == BOTH


def test_what_told_the_environment() -> None:
    rules = [item.rule for item in deployments({"run.py": DEPLOY + 'deploy("staging", "api")\n'})]
    assert rules == ["the call of deploy() (env) says so: staging"]
    code = (
        'def deploy(name):\n    run(["gcloud", "run", "deploy", name])\nif args.env == "staging":\n    deploy("shop")\n'
    )
    assert only({"run.py": code}).rule == "the condition args.env == 'staging' says so: staging"


@pytest.mark.parametrize(
    "calls", ["", "deploy(load())\n", "for env in names():\n    deploy(env)\n", "deploy(*sys.argv)\n"]
)
def test_unknown_callers_leave_any_environment(calls: str) -> None:
    deployment = only({"run.py": DEPLOY + calls})
    assert deployment.environment == ""
    assert deployment.service.endswith("-${env}")


@pytest.mark.parametrize(
    "code",
    [
        ('SECRETS = {"staging": "SENTRY_DSN=dsn-staging:1", "production": "SENTRY_DSN=dsn-production:1"}\n'
        'def deploy(env):\n    run(["gcloud", "run", "deploy", f"shop-{env}", "--set-secrets", SECRETS[env]])\n'),
        ('CONFIG = {"staging": {"dsn": "dsn-staging:1"}, "production": {"dsn": "dsn-production:1"}}\n'
        'def deploy(env):\n    cfg = CONFIG[env]\n'
        '    run(["gcloud", "run", "deploy", f"shop-{env}", f"--set-secrets=SENTRY_DSN={cfg[\'dsn\']}"])\n'),
        ('COMMON = {"A": "a:1"}\nSECRETS = {"staging": {"SENTRY_DSN": "dsn-staging:1"}, "production": {"SENTRY_DSN": "dsn-production:1"}}\n'
        'def deploy(env):\n    secrets = {**COMMON, **SECRETS.get(env)}\n    flags = ",".join(f"{k}={v}" for k, v in secrets.items())\n'
        '    run(" ".join(["gcloud", "run", "deploy", f"shop-{env}", "--set-secrets", flags]), shell=True)\n'),
        ('def deploy(env):\n    cmd = ["gcloud", "run", "deploy", "shop-" + env]\n'
        '    if env == "production":\n        cmd += ["--set-secrets", "SENTRY_DSN=dsn-production:1"]\n'
        '    else:\n        cmd.extend(["--set-secrets", "SENTRY_DSN=dsn-staging:1"])\n    run(cmd)\n'),
        ('class Deployer:\n    def __init__(self, env):\n        self.env = env\n    def deploy(self):\n'
        '        run(["gcloud", "run", "deploy", f"shop-{self.env}", f"--set-secrets=SENTRY_DSN=dsn-{self.env}:1"])\n'
        'def deploy(env):\n    Deployer(env).deploy()\n'),
        ('@dataclass\nclass Config:\n    env: str\n    dsn: str\n    service: str = "shop"\n'
        'CONFIGS = {"staging": Config("staging", "dsn-staging:1"), "production": Config(env="production", dsn="dsn-production:1")}\n'
        'def deploy(env):\n    config = CONFIGS[env]\n'
        '    run(["gcloud", "run", "deploy", f"{config.service}-{config.env}", f"--set-secrets=SENTRY_DSN={config.dsn}"])\n'),
        'def deploy(env):\n    line = f"gcloud run deploy shop-{env} --set-secrets=SENTRY_DSN=dsn-{env}:1"\n    run(shlex.split(line))\n',
        'def deploy(env):\n    run(shlex.split(f"gcloud run deploy shop-{env} --set-secrets=SENTRY_DSN=dsn-{env}:1"))\n',
        ('def deploy(env):\n    secrets = {}\n    secrets["SENTRY_DSN"] = f"dsn-{env}:1"\n'
        '    pairs = ",".join([f"{k}={v}" for k, v in secrets.items()])\n'
        '    run(["gcloud", "run", "deploy", f"shop-{env}", "--set-secrets", pairs])\n'),
    ],
)  # fmt: skip
def test_what_the_environment_chooses(code: str) -> None:
    assert found(code + 'for env in ["staging", "production"]:\n    deploy(env)\n') == BOTH


def test_types_that_say_what_an_argument_may_be() -> None:
    typed = DEPLOY.replace("env, service", 'env: Literal["staging", "production"], service')
    assert {item.environment for item in deployments({"run.py": typed})} == {"staging", "production"}
    click = '@click.option("--env", type=click.Choice(["staging", "production"]))\n' + DEPLOY
    assert {item.environment for item in deployments({"run.py": click})} == {"staging", "production"}


def test_a_job_that_calls_itself_ends() -> None:
    code = DEPLOY + "def again(env):\n    deploy(env)\n    again(env)\nagain('staging')\n"
    assert ("shop-staging", "staging", "dsn-staging") in found(code)


@pytest.mark.parametrize(
    "code",
    [
        ('def gc(*args, live=False):\n    return subprocess.run(["gcloud", *args], check=True)\n'
        'gc("run", "deploy", "shop", f"--set-secrets=SENTRY_DSN={NAME}:1", live=True)\n'),
        ('def command(*args):\n    subprocess.run(["gcloud"] + list(args))\n'
        'command("run", "deploy", "shop", "--set-secrets=SENTRY_DSN=dsn:1")\n'),
        ('def call(args):\n    subprocess.run(["gcloud", *args, "--quiet"])\n'
        'args = ["run", "deploy", "shop"]\nargs.append("--set-secrets=SENTRY_DSN=dsn:1")\ncall(args)\n'),
        'from tools import run_gcloud\nrun_gcloud("run", "deploy", "shop", "--set-secrets=SENTRY_DSN=dsn:1")\n',
        ('gcloud_cmd = shutil.which("gcloud")\n'
        'subprocess.run([gcloud_cmd, "run", "deploy", "shop", "--set-secrets=SENTRY_DSN=dsn:1"])\n'),
        'GCLOUD_CMD = "gcloud.cmd" if NT else "gcloud"\nline = (\n    f"{GCLOUD_CMD} run deploy shop "\n    f"--set-secrets=SENTRY_DSN=dsn:1"\n)\nrun(line)\n',  # noqa: E501
    ],
)  # fmt: skip
def test_a_wrapper_that_puts_gcloud_in_front(code: str) -> None:
    deployment = only({"run.py": 'NAME = "dsn"\n' + code})
    assert (deployment.service, variables(deployment)) == ("shop", {"SENTRY_DSN": ("set", "dsn")})


def test_what_a_wrapper_is_given_is_not_a_name_of_the_module() -> None:
    code = 'def gc(*args):\n    run(["gcloud", *args])\nfor name in ("a", "b"):\n    args = ["run", "deploy", name]\n    gc(*args)\n'
    assert {item.service for item in deployments({"run.py": code})} == {"a", "b"}


def test_what_only_looks_like_a_wrapper() -> None:
    code = 'def log(*args):\n    print("gcloud", *args)\nlog("run", "deploy", "shop")\nX = ["run", "deploy", "shop"]\n# gcloud run\n'
    assert not deployments({"run.py": code})


def test_a_long_script_of_functions_that_call_each_other_is_read_once_each() -> None:
    steps = "".join(
        f"def step{number}(name, region):\n"
        + "".join(f"    value{row} = name + 'x{row}'\n" for row in range(20))
        + "".join(f"    step{number + 1}(name, region)\n" for _ in range(6))
        for number in range(40)
    )
    text = (
        f"import subprocess\n{steps}def step40(name, region):\n"
        "    subprocess.run(['gcloud', 'run', 'deploy', name, '--region', region])\n\nstep0('shop', 'eu')\n"
    )
    started = process_time()
    assert {item.service for item in deployments({"deploy.py": text})}
    assert process_time() - started < 2
