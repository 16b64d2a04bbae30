"""How code reads the variables of a build, and which of them bundlers compile into what browsers load: by their prefixes.

Sources: nextjs.org/docs/app/guides/environment-variables, vite.dev/guide/env-and-mode, svelte.dev/docs/kit ($env),
nuxt.com/docs/guide/going-further/runtime-config, docs.expo.dev/guides/environment-variables,
create-react-app.dev/docs/adding-custom-environment-variables, cli.vuejs.org/guide/mode-and-env, gatsbyjs.com/docs.
"""

from __future__ import annotations

import re

#: By framework.
PREFIXES = {"nextjs": ("NEXT_PUBLIC_",), "cra": ("REACT_APP_",), "gatsby": ("GATSBY_",), "vue": ("VUE_APP_",), "vite": ("VITE_",),
            "sveltekit": ("PUBLIC_", "VITE_"), "nuxt": ("NUXT_PUBLIC_", "VITE_"), "remix": ("VITE_",), "angular": ("NG_APP_",),
            "webpack": ()}  # fmt: skip
#: Of all bundlers, those of front ends that are not audited (Expo) too.
PUBLIC = ("EXPO_PUBLIC_", *dict.fromkeys(prefix for prefixes in PREFIXES.values() for prefix in prefixes))
#: How code reads a variable: group 1 is from where, 2 or 3 its name.
READ = re.compile(
    r"^(process\.env|import\.meta\.env|env|globalThis\.process\.env)(?:\.([A-Za-z_]\w*)|\[[\"']([A-Za-z_]\w*)[\"']\])$"
)
#: Nuxt reads these when its server starts, and hands them to the page.
_AT_START = "NUXT_PUBLIC_"


def is_compiled_in(name: str) -> bool:
    """Whether the value that counts is the one at build time."""
    return name.startswith(PUBLIC) and not name.startswith(_AT_START)


def without_prefix(name: str) -> str:
    """``VITE_APP_ENV`` → ``APP_ENV``."""
    return name[len(next((prefix for prefix in PUBLIC if name.startswith(prefix)), "")) :]


def in_browsers(pattern: str) -> re.Pattern[str]:
    """A pattern of the names that begin with a public prefix and go on as ``pattern`` says; group 1 is the name."""
    return re.compile(rf"(?<![\w$])((?:{'|'.join(PUBLIC)}){pattern})")
