"""Who signed in, as applications keep it; and users that nothing forgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.test_fix_js_users import SHELL, nextjs, refused, told, vite

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = """\
import { createContext, useState, type ReactNode } from 'react';

interface User {
  FIELDS
}

export const AuthContext = createContext<User | null>(null);

export function AuthProvider({ children }: { children: ReactNode }) {
  const [user, setUser] = useState<User | null>(null);
  const [loading, setLoading] = useState(true);

  return <AuthContext.Provider value={user}>{children}</AuthContext.Provider>;
}
"""


@pytest.mark.parametrize(("fields", "key"), [("id: string;\n  email: string;", "id"), ("userId: number;", "userId")])
def test_the_state_of_a_context_tells_the_id(tmp_path: Path, fields: str, key: str) -> None:
    before = CONTEXT.replace("FIELDS", fields)
    expected = before.replace(
        "{ createContext, useState, type ReactNode }", "{ createContext, useState, type ReactNode, useEffect }"
    )
    expected = expected.replace(
        "useState(true);\n",
        f"useState(true);\n\n  useEffect(() => {{\n    Sentry.setUser(user ? {{ id: user.{key} }} : null);\n  }}, [user]);\n",
    )
    expected = "import * as Sentry from '@sentry/react';\n" + expected
    assert told(tmp_path, vite({"src/App.tsx": SHELL, "src/AuthContext.tsx": before})) == {
        "src/AuthContext.tsx": expected
    }


def test_a_user_without_an_id_is_left_to_a_person(tmp_path: Path) -> None:
    before = CONTEXT.replace("FIELDS", "isLoggedIn: boolean;\n  email: string;")
    answer = refused(tmp_path, vite({"src/App.tsx": SHELL, "src/AuthContext.tsx": before}))
    assert "known to the application only" in answer.reason


STORE = """\
import { create } from 'zustand';
import { persist } from 'zustand/middleware';
import type { User } from './types';

interface AuthState {
  user: User | null;
  setUser: (user: User) => void;
  logout: () => void;
}

export const useAuthStore = create<AuthState>()(
  persist(
    (set) => ({
      user: null,
      setUser: (user) => set({ user }),
      logout: () => set({ user: null }),
    }),
    { name: 'auth' },
  ),
);
"""
LISTENS = """
function identify({ user }: ReturnType<typeof useAuthStore.getState>) {
  Sentry.setUser(user ? { id: user._id } : null);
}

identify(useAuthStore.getState());
useAuthStore.subscribe(identify);
"""


def test_a_store_tells_the_id_that_it_keeps_and_each_that_follows(tmp_path: Path) -> None:
    app = "import { useAuthStore } from './authStore';\nexport const App = () => <main>{useAuthStore().user?._id}</main>;\n"
    types = "export type User = { _id: string; email: string };\n"
    changed = told(tmp_path, vite({"src/App.tsx": app, "src/authStore.ts": STORE, "src/types.ts": types}, zustand="^5"))
    assert changed == {"src/authStore.ts": "import * as Sentry from '@sentry/react';\n" + STORE + LISTENS}


SLICE = """\
import { createSlice } from '@reduxjs/toolkit';

const initialState = { user: null, token: null };
export const authSlice = createSlice({
  name: 'auth',
  initialState,
  reducers: { logout: (state) => { state.user = null; } },
});
"""


def test_a_reducer_tells_nobody(tmp_path: Path) -> None:
    app = "import { authSlice } from './authSlice';\nexport const App = () => <main>{authSlice.name}</main>;\n"
    answer = refused(tmp_path, vite({"src/App.tsx": app, "src/authSlice.ts": SLICE, "src/Login.tsx": "export {};\n"}))
    assert "src/authSlice.ts keeps the user in a slice of Redux" in answer.reason
    assert answer.commands[0] == "store.subscribe(() => { const { user } = store.getState().auth;"


# --- users that nothing forgets ---------------------------------------------------------------------------

SETTER = """\
'use client';

import * as Sentry from '@sentry/nextjs';
import { useEffect } from 'react';

export function SentryUser({ user }: Props) {
  useEffect(() => {
    BODY
  }, [user]);

  return null;
}
"""
PAGE = "import { SentryUser } from './user';\nexport default function Page() { return <SentryUser user={USER} />; }\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "if (user) {\n      Sentry.setUser({ id: user.id });\n    }",
            "if (user) {\n      Sentry.setUser({ id: user.id });\n    } else {\n      Sentry.setUser(null);\n    }",
        ),
        ("if (user) Sentry.setUser({ id: user.id });", "if (user) Sentry.setUser({ id: user.id });\n    else Sentry.setUser(null);"),
        ("Sentry.setUser({ id: user?.id });", "Sentry.setUser(user ? { id: user?.id } : null);"),
        (
            "Sentry.setUser({ id: user.id });",
            "Sentry.setUser({ id: user.id });\n    return () => {\n      Sentry.setUser(null);\n    };",
        ),
    ],
)  # fmt: skip
def test_an_effect_forgets_the_user_that_it_told(tmp_path: Path, before: str, after: str) -> None:
    files = nextjs({"app/page.tsx": PAGE, "app/user.tsx": SETTER.replace("BODY", before)}, **{"next-auth": "^5.0.0"})
    assert told(tmp_path, files) == {"app/user.tsx": SETTER.replace("BODY", after)}


ACTIONS = """\
import * as Sentry from '@sentry/nextjs';

export async function login(name: string) {
  const user = await api.login(name);
  Sentry.setUser({ id: user.id });
}

export const logout = async () => {
  await api.logout();
};
"""


def test_who_signs_out_is_forgotten(tmp_path: Path) -> None:
    page = "import { login } from './actions';\nexport default function Page() { login('a'); return null; }\n"
    files = nextjs({"app/page.tsx": page, "app/actions.ts": ACTIONS}, **{"next-auth": "^5.0.0"})
    changed = told(tmp_path, files)
    assert changed == {
        "app/actions.ts": ACTIONS.replace("  await api.logout", "  Sentry.setUser(null);\n  await api.logout")
    }


def test_a_way_out_that_is_not_known_is_left_to_a_person(tmp_path: Path) -> None:
    page = "import { login } from './actions';\nexport default function Page() { login('a'); return null; }\n"
    actions = ACTIONS.partition("\nexport const logout")[0]
    files = nextjs({"app/page.tsx": page, "app/actions.ts": actions}, **{"next-auth": "^5.0.0"})
    answer = refused(tmp_path, files)
    assert "app/actions.ts:5" in answer.reason
    assert answer.commands == ("Sentry.setUser(null); // after signing out",)
