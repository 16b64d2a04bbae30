# ruff: noqa: E501 - before and after are texts of files, as they are
"""Settings classes that are given Sentry's fields, filled in each environment, and DSNs that are read from a variable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixing import Change, Refusal
from tests.fixing_python import answer, fixed
from tests.trees import SDK

if TYPE_CHECKING:
    from pathlib import Path

FASTAPI = "from fastapi import FastAPI\n"
DSN = "https://4f6cbd9a1e2b3c4d5e6f708192a3a1f3@o447951.ingest.us.sentry.io/4511377"


def main(*lines: str) -> str:
    return "".join(
        f"{line}\n" for line in ("import sentry_sdk", "from fastapi import FastAPI", *lines, "app = FastAPI()")
    )


#: name → (check, files, path, before, after): ``before`` is replaced by ``after`` in the file, and nothing else changes.
CASES = {
    "a sibling's loader": (
        "config-env-mapping",
        {
            "config.py": "import os\nclass Base:\n    sentry_dsn = None\n\nclass Production(Base):\n    def __init__(self):\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\n\nclass Staging(Base):\n    name = 'x'\n",
            "main.py": main("from config import Staging", "config = Staging()", "if config.sentry_dsn:", "    sentry_sdk.init(dsn=config.sentry_dsn)"),
        },
        "config.py", "    name = 'x'\n", "    name = 'x'\n\n    def __init__(self):\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\n",
    ),
    "a sibling's loader for a class of pass": (
        "config-env-mapping",
        {
            "config.py": "import os\r\nclass Base:\r\n    sentry_dsn = None\r\nclass Production(Base):\r\n    def __init__(self):\r\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\r\nclass Staging(Base):\r\n    pass\r\n",
            "main.py": main("from config import Staging", "config = Staging()", "if config.sentry_dsn:", "    sentry_sdk.init(dsn=config.sentry_dsn)"),
        },
        "config.py", "    pass\r\n", "    def __init__(self):\r\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\r\n",
    ),
    "the loader that is there": (
        "config-env-mapping",
        {
            "config.py": "import os\nclass Base:\n    def __init__(self):\n        self.sentry_dsn = None\nclass Production(Base):\n    def __init__(self):\n        super().__init__()\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\nclass Staging(Base):\n    def __init__(self):\n        self.debug = False\n    sentry_dsn = None\n",
            "main.py": main("from config import Staging", "config = Staging()", "if config.sentry_dsn:", "    sentry_sdk.init(dsn=config.sentry_dsn)"),
        },
        "config.py", "        self.debug = False\n", "        self.debug = False\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\n",
    ),
    "a base with a loader of its own": (
        "config-env-mapping",
        {
            "config.py": "import os\nclass Base:\n    sentry_dsn = None\n    def __init__(self):\n        self.debug = False\nclass Production(Base):\n    def __init__(self):\n        super().__init__()\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\nclass Staging(Base):\n    name = 'x'\n",
            "main.py": main("from config import Staging", "config = Staging()", "if config.sentry_dsn:", "    sentry_sdk.init(dsn=config.sentry_dsn)"),
        },
        "config.py", "    name = 'x'\n", "    name = 'x'\n\n    def __init__(self):\n        super().__init__()\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\n",
    ),
    "the declaration": (
        "backend-dsn-resolves",
        {"main.py": main("class Settings:", "    sentry_dsn: str = ''", "settings = Settings()", "sentry_sdk.init(dsn=settings.sentry_dsn)")},
        "main.py", "import sentry_sdk\nfrom fastapi import FastAPI\nclass Settings:\n    sentry_dsn: str = ''",
        "import os\n\nimport sentry_sdk\nfrom fastapi import FastAPI\nclass Settings:\n    sentry_dsn: str | None = os.environ.get('SENTRY_DSN')",
    ),
    "a dataclass": (
        "config-env-mapping",
        {"main.py": "import os\nfrom dataclasses import dataclass\n" + main("@dataclass", "class Settings:", '    url: str = os.getenv("URL", "")', "    sentry_dsn: str | None = None", "settings = Settings()", "if settings.sentry_dsn:", "    sentry_sdk.init(dsn=settings.sentry_dsn)")},
        "main.py", "sentry_dsn: str | None = None", 'sentry_dsn: str | None = os.getenv("SENTRY_DSN")',
    ),
    "an empty text": (
        "backend-dsn-resolves", {"main.py": "import os\n" + main("DSN = ''", "sentry_sdk.init(dsn=DSN, server_name=os.getenv('NAME'))")},
        "main.py", "DSN = ''", "DSN = os.getenv('SENTRY_DSN')",
    ),
    "init waits for a DSN that nothing fills": (
        "backend-init-enabled",
        {
            "config.py": "import os\nclass Base:\n    sentry_dsn = None\nclass Production(Base):\n    def __init__(self):\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\nclass Staging(Base):\n    pass\n",
            "main.py": main("from config import Staging", "config = Staging()", "if config.sentry_dsn:", "    sentry_sdk.init(dsn=config.sentry_dsn)"),
        },
        "config.py", "    pass\n", "    def __init__(self):\n        self.sentry_dsn = os.environ.get('SENTRY_DSN')\n",
    ),
    "a flag that is off": (
        "backend-init-enabled",
        {"main.py": main("from pydantic_settings import BaseSettings", "class Settings(BaseSettings):", "    sentry_dsn: str | None = None", "    sentry_enabled: bool = False", "settings = Settings()", "if settings.sentry_enabled:", "    sentry_sdk.init(dsn=settings.sentry_dsn)")},
        "main.py", "sentry_enabled: bool = False", "sentry_enabled: bool = True",
    ),
    "a variable that is off": (
        "backend-init-enabled",
        {"main.py": "import os\n" + main("if os.getenv('SENTRY_ENABLED', 'false') == 'true':", "    sentry_sdk.init()")},
        "main.py", "os.getenv('SENTRY_ENABLED', 'false')", "os.getenv('SENTRY_ENABLED', 'true')",
    ),
    "an environment by another name": (
        "backend-init-enabled",
        {"main.py": "import os\n" + main("if os.getenv('ENVIRONMENT') in ('prod', 'stage'):", "    sentry_sdk.init()"), ".env.staging": "ENVIRONMENT=staging\n"},
        "main.py", "('prod', 'stage')", "('prod', 'staging')",
    ),
    "a field of pydantic's": (
        "config-dsn-field",
        {"main.py": "from pydantic_settings import BaseSettings\n" + FASTAPI + "class Settings(BaseSettings):\n    database_url: str\n    debug: bool = False\n\n    @property\n    def x(self) -> int:\n        return 1\nsettings = Settings()\napp = FastAPI()\n"},
        "main.py", "    debug: bool = False\n", "    debug: bool = False\n    sentry_dsn: str | None = None\n",
    ),
    "a field of pydantic's beside Field(default=…)": (
        "config-dsn-field",
        {"main.py": "from pydantic import Field\nfrom pydantic_settings import BaseSettings\n" + FASTAPI + "class Settings(BaseSettings):\n    url: str = Field(default='')\nsettings = Settings()\napp = FastAPI()\n"},
        "main.py", "    url: str = Field(default='')\n", "    url: str = Field(default='')\n    sentry_dsn: str | None = Field(default=None)\n",
    ),
    "a field in capitals": (
        "config-dsn-field",
        {"main.py": "from typing import Optional\nfrom pydantic import BaseSettings\n" + FASTAPI + "class Settings(BaseSettings):\n    DATABASE_URL: Optional[str] = None\n    class Config:\n        env_file = '.env'\nsettings = Settings()\napp = FastAPI()\n"},
        "main.py", "    DATABASE_URL: Optional[str] = None\n", "    DATABASE_URL: Optional[str] = None\n    SENTRY_DSN: Optional[str] = None\n",
    ),
    "a field past the prefix": (
        "config-dsn-field",
        {
            ".env.example": "APP_URL=\nSENTRY_DSN=\n",
            "main.py": "from pydantic import Field\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\n" + FASTAPI + 'class Settings(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix="APP_")\n    url: str = Field("")\nsettings = Settings()\napp = FastAPI()\n',
        },
        "main.py", '    url: str = Field("")\n', '    url: str = Field("")\n    sentry_dsn: str | None = Field(None, validation_alias="SENTRY_DSN")\n',
    ),
    "a field for the environment": (
        "config-environment-field",
        {"main.py": main("from pydantic_settings import BaseSettings", "class Settings(BaseSettings):", "    sentry_dsn: str | None = None", "settings = Settings()", "sentry_sdk.init(dsn=settings.sentry_dsn)")},
        "main.py", "    sentry_dsn: str | None = None\nsettings = Settings()\nsentry_sdk.init(dsn=settings.sentry_dsn)\n",
        "    sentry_dsn: str | None = None\n    sentry_environment: str | None = None\nsettings = Settings()\nsentry_sdk.init(dsn=settings.sentry_dsn, environment=settings.sentry_environment)\n",
    ),
    "a field for the switch": (
        "config-enabled-field",
        {"main.py": main("from pydantic_settings import BaseSettings", "class Settings(BaseSettings):", "    environment: str = 'x'", "    sentry_dsn: str | None = None", "settings = Settings()", "if settings.sentry_enabled:", "    sentry_sdk.init(dsn=settings.sentry_dsn, environment=settings.environment)")},
        "main.py", "    sentry_dsn: str | None = None\n", "    sentry_dsn: str | None = None\n    sentry_enabled: bool = True\n",
    ),
    "a field that nothing reads": (
        "config-fields-used",
        {"main.py": main("from pydantic_settings import BaseSettings", "class Settings(BaseSettings):", "    sentry_dsn: str | None = None", "    sentry_release: str | None = None", "settings = Settings()", "sentry_sdk.init(", "    dsn=settings.sentry_dsn,", "    environment='x',", ")")},
        "main.py", "    environment='x',\n", "    environment='x',\n    release=settings.sentry_release,\n",
    ),
    "a DSN in the code": (
        "dsn-hardcoded", {"main.py": main(f'sentry_sdk.init(dsn="{DSN}")')},
        "main.py", f'import sentry_sdk\nfrom fastapi import FastAPI\nsentry_sdk.init(dsn="{DSN}")',
        'import os\n\nimport sentry_sdk\nfrom fastapi import FastAPI\nsentry_sdk.init(dsn=os.environ.get("SENTRY_DSN"))',
    ),
    "a DSN as a default": (
        "dsn-hardcoded", {"main.py": "import os\n" + main(f'sentry_sdk.init(dsn=os.getenv("SENTRY_DSN", "{DSN}"))')},
        "main.py", f'os.getenv("SENTRY_DSN", "{DSN}")', 'os.getenv("SENTRY_DSN")',
    ),
    "a DSN of a settings field": (
        "dsn-hardcoded",
        {"main.py": main("from pydantic_settings import BaseSettings", "class Settings(BaseSettings):", f'    sentry_dsn: str = "{DSN}"', "settings = Settings()", "sentry_sdk.init(dsn=settings.sentry_dsn, environment='x')")},
        "main.py", f'sentry_dsn: str = "{DSN}"', "sentry_dsn: str | None = None",
    ),
    "a template": (
        "env-template-complete", {"main.py": "import os\n" + main("sentry_sdk.init(dsn=os.getenv('SENTRY_DSN'))"), ".env.example": "# Database\nDATABASE_URL="},
        ".env.example", "DATABASE_URL=", "DATABASE_URL=\nSENTRY_DSN=",
    ),
    "a template with groups": (
        "env-template-complete",
        {"main.py": "import os\n" + main("sentry_sdk.init(dsn=os.getenv('SENTRY_DSN'))"), ".env.example": '# Database\nexport DATABASE_URL=""\n\n# Mail\nexport SMTP=""\n'},
        ".env.example", 'export SMTP=""\n', 'export SMTP=""\n\n# Sentry\nexport SENTRY_DSN=""\n',
    ),
    "a template that has some": (
        "env-template-complete",
        {"main.py": "import os\n" + main("sentry_sdk.init(dsn=os.getenv('SENTRY_DSN'), release=os.getenv('SENTRY_RELEASE'))"), ".env.example": "SENTRY_DSN=\r\nURL=\r\n"},
        ".env.example", "SENTRY_DSN=\r\n", "SENTRY_DSN=\r\nSENTRY_RELEASE=\r\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_settings_are_put_right(tmp_path: Path, name: str) -> None:
    check, files, path, before, after = CASES[name]
    changed = fixed(tmp_path, {"requirements.txt": SDK + "pydantic-settings\n", **files}, check)
    assert files[path].count(before) == 1
    assert changed == {path: files[path].replace(before, after)}


REFUSED = {
    "a class without an object": ("config-dsn-field", FASTAPI + "from pydantic_settings import BaseSettings\nclass Settings(BaseSettings):\n    url: str\napp = FastAPI()\n"),
    "production only": ("backend-init-enabled", "import os\n" + main("if os.getenv('ENVIRONMENT') == 'production':", "    sentry_sdk.init()")),
    "a switch of another sort": ("backend-init-enabled", main("DEBUG = True", "if not DEBUG:", "    sentry_sdk.init()")),
    "a DSN in a longer text": ("dsn-hardcoded", main(f'DSNS = "{DSN} {DSN}"', "sentry_sdk.init()")),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_its_author_knows_is_left(tmp_path: Path, name: str) -> None:
    check, text = REFUSED[name]
    found = answer(tmp_path, {"requirements.txt": SDK, "main.py": text}, check)
    assert isinstance(found, Refusal)
    assert "4f6cbd9a1e2b3c4d" not in found.reason


def test_a_dsn_that_cannot_work_is_copied_again_by_a_person(tmp_path: Path) -> None:
    files = {
        "requirements.txt": SDK,
        "main.py": main("sentry_sdk.init()"),
        ".env.production": 'SENTRY_DSN="https://o1.ingest.us.sentry.io/451"\n',
    }
    found = answer(tmp_path, files, "dsn-format")
    assert isinstance(found, Refusal)
    assert "Client Keys (DSN)" in found.reason


def test_a_dsn_in_an_environment_file_is_left_to_a_person(tmp_path: Path) -> None:
    files = {"requirements.txt": SDK, "main.py": main("sentry_sdk.init()"), ".env.production": f"SENTRY_DSN={DSN}\n"}
    found = answer(tmp_path, files, "dsn-hardcoded")
    assert isinstance(found, Refusal)
    assert "4f6cbd9a" not in found.reason


def test_the_summary_says_that_the_variable_has_to_be_set(tmp_path: Path) -> None:
    found = answer(
        tmp_path, {"requirements.txt": SDK, "main.py": main(f'sentry_sdk.init(dsn="{DSN}")')}, "dsn-hardcoded"
    )
    assert isinstance(found, Change)
    assert "set it where this runs" in found.summary
