// The console: who is signed in, and which page is shown.
import { render } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { Organization } from "./organization/page";
import { Organizations } from "./organizations/page";
import { Own } from "./own/page";
import { announce, Announcements } from "./shared/announce";
import { Refusal } from "./shared/api";
import { Loading, Problem } from "./shared/parts";
import { linkTo, usePlace } from "./shared/router";
import { rememberedKey, SessionContext, signIn, signOut, type Session } from "./shared/session";
import "./shared/style.css";
import { SignIn } from "./sign-in/page";

function useOffline(): boolean {
  const [isOffline, setOffline] = useState(!navigator.onLine);
  useEffect(() => {
    const follow = () => setOffline(!navigator.onLine);
    addEventListener("online", follow);
    addEventListener("offline", follow);
    return () => {
      removeEventListener("online", follow);
      removeEventListener("offline", follow);
    };
  }, []);
  return isOffline;
}

// Shown again if the key is refused later: blocked, expired or replaced.
function Console() {
  const [session, setSession] = useState<Session>();
  const [isResuming, setResuming] = useState(rememberedKey() !== "");
  const [problem, setProblem] = useState<Refusal>();

  const leave = useCallback(() => {
    signOut();
    setSession(undefined);
  }, []);

  const whenRefused = useCallback(() => {
    leave();
    setProblem(
      new Refusal(
        401,
        "Your key is not accepted any more.",
        "It was blocked, replaced or has expired: sign in with another.",
      ),
    );
  }, []);

  const enter = useCallback(async (secret: string, keep: boolean) => {
    setSession(await signIn(secret, keep, whenRefused));
    setProblem(undefined);
  }, []);

  const resume = useCallback(async () => {
    setResuming(true);
    setProblem(undefined);
    try {
      await enter(rememberedKey(), true);
    } catch (error) {
      const refusal = error as Refusal;
      if (refusal.status === 401) signOut(); // a key that is refused is of no use any more
      setProblem(refusal);
    }
    setResuming(false);
  }, []);

  useEffect(() => {
    if (isResuming) void resume();
  }, []);

  if (isResuming)
    return (
      <main class="narrow">
        <Loading />
      </main>
    );
  if (!session) return <SignIn problem={problem} onRetry={rememberedKey() ? resume : undefined} onEnter={enter} />;
  const out = () => {
    leave();
    setProblem(undefined);
    location.hash = "";
    announce("Signed out");
  };
  return (
    <SessionContext.Provider value={session}>
      <Frame session={session} onSignOut={out} />
    </SessionContext.Provider>
  );
}

function Frame({ session, onSignOut }: { session: Session; onSignOut: () => void }) {
  const place = usePlace();
  const isOffline = useOffline();
  const [section = session.home, ...rest] = place;
  const main = useRef<HTMLElement>(null);
  const page = `${section}/${rest[0] ?? ""}`;
  const shownBefore = useRef(page);

  // After another page was asked for, reading goes on at its beginning.
  useEffect(() => {
    if (shownBefore.current === page) return;
    shownBefore.current = page;
    main.current!.focus();
    scrollTo(0, 0);
  }, [page]);

  const link = (name: string, text: string) => (
    <a href={linkTo(name)} aria-current={section === name ? (rest.length ? "true" : "page") : undefined}>
      {text}
    </a>
  );
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current!.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/">
          pg_org
        </a>
        <nav aria-label="Console">
          {session.seesOrganizations && link("organizations", "Organizations")}
          {link("own", "My keys and limits")}
        </nav>
        <div class="who">
          <span class="who-name">
            <bdi>{session.name}</bdi>
            <span class="quiet">{session.role}</span>
          </span>
          <button type="button" onClick={onSignOut}>
            Sign out
          </button>
        </div>
      </header>
      {isOffline && (
        <div class="offline" role="status">
          You are offline. What is shown may be old, and changes can't be saved.
        </div>
      )}
      <main ref={main} id="main" tabIndex={-1} key={page}>
        {section === "organizations" && rest.length === 0 && <Organizations />}
        {section === "organizations" && rest.length > 0 && <Organization id={rest[0]!} tab={rest[1]} />}
        {section === "own" && <Own />}
        {section !== "organizations" && section !== "own" && (
          <Problem refusal={new Refusal(404, "There is no such page.", "Choose one from the navigation above.")} />
        )}
      </main>
    </>
  );
}

render(
  <>
    <Console />
    <Announcements />
  </>,
  document.getElementById("console")!,
);
