"""The page for a browser that is not signed in, and the answer to a link that signs it in."""

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response

from miradouro.runtime.addresses import Address
from miradouro.runtime.browser_sessions import COOKIE_GOOD_FOR_S, BrowserSessions

KEY = "key"  # the parameter of a link
SIGN_IN = "/sign-in"  # asks a browser for the token as a password, and leads to the page
_NO_STORE = {"Cache-Control": "no-store"}
# Without a style sheet of its own: what a stranger gets is this text alone.
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Miradouro: not signed in</title>
<h1>This browser is not signed in</h1>
<p>{why}
<p>The photos here are for the person who started <code>miradouro up</code>. In its terminal stands a line that begins with
<code>open:</code>. Open that address: it works once, within half an hour, and signs this browser in until the server ends.
<p>No such line at hand? Start <code>miradouro up</code> again, or <a href="/sign-in">sign in with the token</a>: any user name,
and as password the line in the file <code>token</code> of the data folder.
</html>
"""
# A redirect would keep the site where the link was clicked as its initiator, and a browser would omit the SameSite cookie.
_LET_IN = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=/">
<link rel="icon" href="/page/icon.svg">
<title>Miradouro</title>
<p><a href="/">To the photos</a>
</html>
"""


class SignIn:
    """Links and cookies of one HTTP door. The cookie's name has the port: other servers here may have one, too."""

    def __init__(self, sessions: BrowserSessions, address: Address, *, is_secure: bool) -> None:
        self._sessions, self._is_secure = sessions, is_secure
        self._name = f"miradouro-{address.port}"

    def caller_id(self, headers: Headers) -> str:
        """The id of the cookie that a request shows, empty without a good one."""
        return self._sessions.find(cookie_parser(headers.get("cookie", "")).get(self._name, ""))

    def redeem(self, key: str, *, is_in: bool) -> Response:
        """The answer to a link; who `is_in` already goes on to the page whether it is good or not."""
        cookie = self._sessions.redeem(key)
        if cookie is None:
            return RedirectResponse("/", 303, _NO_STORE) if is_in else refused_page("This link was used, or is too old.")
        answer = HTMLResponse(_LET_IN, headers=_NO_STORE)
        answer.set_cookie(
            self._name, cookie, max_age=COOKIE_GOOD_FOR_S, path="/", secure=self._is_secure, httponly=True, samesite="strict"
        )
        return answer


def refused_page(why: str = "This page is closed to the other users of this machine.") -> Response:
    """The page that says how to get in."""
    return HTMLResponse(_PAGE.format(why=why), 401, {**_NO_STORE, "WWW-Authenticate": 'Bearer realm="miradouro"'})
