/** Shown where the node requires a credential that the browser does not have: login with the provider, or with a token. */
import { useEffect, useState } from "preact/hooks";
import {
  type LoginOptions,
  loadAgain,
  logInWith,
  loginOptions,
  logOut,
  providerPage,
} from "../io/session.ts";
import { identity, loggingIn, tail } from "../state/app.ts";

export function LoginView() {
  const [options, setOptions] = useState<LoginOptions>();
  const [token, setToken] = useState("");
  const [refusal, setRefusal] = useState<string>();
  useEffect(() => {
    void loginOptions().then(setOptions);
  }, []);
  const { failure } = tail.link.cursor.value;
  return (
    <div class="empty login">
      <h2>Log in</h2>
      {failure?.kind === "unauthenticated" && <p class="quiet">The node said: {failure.message}.</p>}
      {options?.provider !== undefined && (
        <p>
          <a class="button" href={providerPage()}>
            Log in with {new URL(options.provider).host}
          </a>
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setRefusal(undefined);
          void logInWith(token).then(setRefusal);
        }}
      >
        <label>
          Token
          <input
            type="password"
            name="token"
            autocomplete="off"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="button" disabled={token.trim() === ""}>
          Log in with this token
        </button>
      </form>
      {refusal !== undefined && <p role="alert">{refusal}.</p>}
      <p class="quiet">
        A token comes from <code>tailrace token issue</code>, or from your provider. It is kept in a cookie
        that scripts cannot read, and ends when it expires or when you log out.
      </p>
      <WithoutLogin options={options} />
    </div>
  );
}

/** For a user who needs no login: the node takes another credential of the browser, or none. */
function WithoutLogin({ options }: { readonly options: LoginOptions | undefined }) {
  if (options?.hasEnded === true)
    return (
      <button type="button" class="small" onClick={() => void logOut()}>
        Go on without the session that has ended
      </button>
    );
  // Another tab has logged in again since the session of this page ended.
  if (options?.endsMs !== undefined && !loggingIn.value)
    return (
      <button type="button" class="small" onClick={loadAgain}>
        Go on with the session of this browser
      </button>
    );
  if (identity.value === undefined) return null;
  return (
    <button
      type="button"
      class="small"
      onClick={() => {
        loggingIn.value = false;
      }}
    >
      Go on as {identity.value.subject}
    </button>
  );
}
