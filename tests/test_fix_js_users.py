"""Whose events they are: the id is told where a front end is known to learn it, and forgotten after signing out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sentry_audit.fixers import js_users
from sentry_audit.fixing import Refusal
from tests.fixing_web import answers, fixed
from tests.trees import write

if TYPE_CHECKING:
    from pathlib import Path

CHECK = "frontend-user-context"
MAIN = """\
import * as Sentry from '@sentry/react';
import { createRoot } from 'react-dom/client';
import { App } from './App';

Sentry.init({ dsn: import.meta.env.VITE_SENTRY_DSN });
createRoot(document.body).render(<App />);
"""
PAGE = '<script type="module" src="/src/main.tsx"></script>'


def vite(files: dict[str, str], **dependencies: str) -> dict[str, str]:
    """A front end of Vite that renders ``App``."""
    known = {"react": "19.0.0", "@sentry/react": "^10.20.0"} | dependencies
    manifest = {"scripts": {"build": "vite build"}, "dependencies": known, "devDependencies": {"vite": "7.0.0"}}
    return {"package.json": json.dumps(manifest), "index.html": PAGE, "src/main.tsx": MAIN} | files


def nextjs(files: dict[str, str], **dependencies: str) -> dict[str, str]:
    """A front end of Next.js with an ``app`` folder."""
    known = {"next": "15.3.0", "react": "19.0.0", "@sentry/nextjs": "^10.20.0"} | dependencies
    client = "import * as Sentry from '@sentry/nextjs';\n\nSentry.init({ dsn: process.env.NEXT_PUBLIC_SENTRY_DSN });\n"
    manifest = json.dumps({"scripts": {"build": "next build"}, "dependencies": known})
    return {"package.json": manifest, "tsconfig.json": "{}", "instrumentation-client.ts": client} | files


def told(root: Path, files: dict[str, str]) -> dict[str, str]:
    return fixed(root, files, js_users.user, CHECK, "production")


def refused(root: Path, files: dict[str, str]) -> Refusal:
    write(root, files)
    [answer] = answers(root, js_users.user, CHECK, "production")
    assert isinstance(answer, Refusal)
    return answer


# --- libraries whose provider is rendered -------------------------------------------------------------------

LAYOUT = """\
import { ClerkProvider } from '@clerk/nextjs';

import { Header } from '@/components/header';
import { fonts } from '@/lib/fonts';

export default function RootLayout({ children }: { children: React.ReactNode }) {
  return (
    <ClerkProvider>
      <html lang="en">
        <body className={fonts}>
          <Header />
          {children}
        </body>
      </html>
    </ClerkProvider>
  );
}
"""
COMPONENT = """\
'use client';

import { useAuth } from '@clerk/nextjs';
import * as Sentry from '@sentry/nextjs';
import { useEffect } from 'react';

/** Tells Sentry whose events these are: the id alone, and nobody's after signing out. */
export function SentryUser() {
  const { userId: id } = useAuth();

  useEffect(() => {
    Sentry.setUser(id ? { id } : null);
  }, [id]);

  return null;
}
"""


def test_clerk_tells_the_id_in_the_body_of_the_page_below_its_provider(tmp_path: Path) -> None:
    header = "export const Header = () => <header />;\n"
    files = {"app/layout.tsx": LAYOUT, "components/header.tsx": header, "lib/fonts.ts": "export const fonts = 'a';\n"}
    changed = told(tmp_path, nextjs(files, **{"@clerk/nextjs": "^6.0.0"}))
    layout = LAYOUT.replace("          <Header />", "          <SentryUser />\n          <Header />")
    layout = layout.replace(
        "'@/components/header';\n", "'@/components/header';\nimport { SentryUser } from '@/components/sentry-user';\n"
    )
    assert changed == {"components/sentry-user.tsx": COMPONENT, "app/layout.tsx": layout}


AUTH0 = """\
import { Auth0Provider } from "@auth0/auth0-react"
import { Home } from "./Home"

export const App = () => <Auth0Provider domain="d" clientId="c"><Home /></Auth0Provider>
"""


def test_a_provider_in_one_row_is_laid_out(tmp_path: Path) -> None:
    files = {"src/App.tsx": AUTH0, "src/Home.tsx": "export const Home = () => <main />\n"}
    changed = told(tmp_path, vite(files, **{"@auth0/auth0-react": "^2"}))
    assert changed["src/App.tsx"] == (
        'import { Auth0Provider } from "@auth0/auth0-react"\nimport { Home } from "./Home"\n'
        'import { SentryUser } from "./SentryUser"\n\nexport const App = () => (\n'
        '  <Auth0Provider domain="d" clientId="c">\n    <SentryUser />\n    <Home />\n  </Auth0Provider>\n)\n'
    )
    assert "  const { user } = useAuth0();" in changed["src/SentryUser.tsx"]
    assert "  const id = user?.sub;\n" in changed["src/SentryUser.tsx"]
    assert "use client" not in changed["src/SentryUser.tsx"]


SESSIONS = """\
'use client';

import { SessionProvider } from 'next-auth/react';

export function Providers({ children }: { children: React.ReactNode }) {
  return <SessionProvider>{children}</SessionProvider>;
}
"""
ROOT = """\
import { Providers } from './providers';

export default function RootLayout({ children }: { children: React.ReactNode }) {
  return <html><body><Providers>{children}</Providers></body></html>;
}
"""
CALLBACK = (
    "export const callbacks = { session({ session, token }) { session.user.id = token.sub; return session; } };\n"
)
TYPES = "declare module 'next-auth' {\n  interface Session { user: { id: string } }\n}\n"


def test_a_session_that_holds_an_id_tells_it(tmp_path: Path) -> None:
    files = {"app/layout.tsx": ROOT, "app/providers.tsx": SESSIONS, "auth.ts": CALLBACK}
    changed = told(tmp_path, nextjs(files, **{"next-auth": "^5.0.0"}))
    assert changed["app/providers.tsx"] == SESSIONS.replace(
        "return <SessionProvider>{children}</SessionProvider>;",
        "return (\n    <SessionProvider>\n      <SentryUser />\n      {children}\n    </SessionProvider>\n  );",
    ).replace("'next-auth/react';\n", "'next-auth/react';\nimport { SentryUser } from './sentry-user';\n")
    assert (
        "const { data: session } = useSession();\n  const id = session?.user?.id;\n" in changed["app/sentry-user.tsx"]
    )


@pytest.mark.parametrize(
    ("version", "more", "known"),
    [
        ("^5.0.0", {}, False),
        ("^4.24.0", {"auth.ts": CALLBACK}, False),
        ("^4.24.0", {"auth.ts": CALLBACK, "next-auth.d.ts": TYPES}, True),
    ],
)
def test_a_session_of_next_auth_holds_an_id_where_somebody_puts_it(
    tmp_path: Path, version: str, more: dict[str, str], known: bool
) -> None:
    files = nextjs({"app/layout.tsx": ROOT, "app/providers.tsx": SESSIONS} | more, **{"next-auth": version})
    if known:
        assert "app/sentry-user.tsx" in told(tmp_path, files)
    else:
        assert "session.user.id = token.sub" in refused(tmp_path, files).commands[0]


# --- listeners ----------------------------------------------------------------------------------------------

FIREBASE = """\
import { createContext, useEffect, useState } from 'react';
import { onAuthStateChanged } from 'firebase/auth';
import { captureException } from '@sentry/react';
import { auth } from './firebase';

export const AuthContext = createContext(null);

export function AuthProvider({ children }) {
  const [user, setUser] = useState(null);

  useEffect(() => onAuthStateChanged(auth, LISTENER), []);

  return <AuthContext.Provider value={user}>{children}</AuthContext.Provider>;
}
"""
SHELL = (
    "import { AuthProvider } from './AuthContext';\nexport const App = () => <AuthProvider><main /></AuthProvider>;\n"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "setUser",
            "(user) => {\n    setSentryUser(user ? { id: user.uid } : null);\n    setUser(user);\n  }",
        ),
        (
            "(found) => setUser(found)",
            "(found) => {\n    setSentryUser(found ? { id: found.uid } : null);\n    setUser(found);\n  }",
        ),
        (
            "async (found) => {\n    setUser(found);\n  }",
            "async (found) => {\n    setSentryUser(found ? { id: found.uid } : null);\n    setUser(found);\n  }",
        ),
    ],
)
def test_the_listener_of_firebase_tells_the_id(tmp_path: Path, before: str, after: str) -> None:
    files = vite({"src/App.tsx": SHELL, "src/AuthContext.jsx": FIREBASE.replace("LISTENER", before)}, firebase="^11")
    expected = FIREBASE.replace("LISTENER", after).replace(
        "{ captureException }", "{ captureException, setUser as setSentryUser }"
    )
    assert told(tmp_path, files) == {"src/AuthContext.jsx": expected}


SUPABASE = """\
import { useEffect } from 'react';
import { supabase } from './supabase';

export function useAuth(setSession: (session: unknown) => void) {
  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((_event, session) => {
      setSession(session);
    });
    return () => data.subscription.unsubscribe();
  }, [setSession]);
}
"""


def test_the_listener_of_supabase_tells_the_id(tmp_path: Path) -> None:
    app = "import { useAuth } from './useAuth';\nexport const App = () => { useAuth(keep); return <main />; };\n"
    files = vite({"src/App.tsx": app, "src/useAuth.ts": SUPABASE}, **{"@supabase/supabase-js": "^2"})
    expected = SUPABASE.replace(
        "      setSession(session);",
        "      Sentry.setUser(session ? { id: session.user.id } : null);\n      setSession(session);",
    )
    assert told(tmp_path, files) == {"src/useAuth.ts": "import * as Sentry from '@sentry/react';\n" + expected}


def test_a_listener_that_does_not_take_the_session_tells_nothing(tmp_path: Path) -> None:
    app = "import { useAuth } from './useAuth';\nexport const App = () => { useAuth(keep); return <main />; };\n"
    files = vite({"src/App.tsx": app, "src/useAuth.ts": SUPABASE.replace("(_event, session)", "(_event)")})
    assert refused(tmp_path, files).commands[1].startswith("Sentry.setUser(null)")
