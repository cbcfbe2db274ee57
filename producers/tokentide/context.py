"""Who and what a call is made for: `with tokentide.context(tenant="acme", feature="answer"):`.

What a block names is filled into every event made inside it, unless the event has a value of its
own. It is kept in a context variable, so it follows asyncio tasks by itself and threads by
`context.carry`. Invariant: leaving a block restores what was there before, in whatever order tasks
and threads enter and leave blocks, and nothing here raises into the host.
"""

from __future__ import annotations

import contextvars
import functools
from collections.abc import AsyncGenerator, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from tokentide.decorating import Function, wrapped
from tokentide.settings import Settings

if TYPE_CHECKING:
    from tokentide.fields import ContextFields

Fields = dict[str, object]

_VERSIONS = (("prompt_name", "prompt_version"), ("agent_name", "agent_version"))
_PARENTS = (("run_id", "parent_run_id"), ("agent_name", "parent_agent_name"))
"""(what an inner block names again, where the outer block's one is named then)."""

_scope: contextvars.ContextVar[Scope | None] = contextvars.ContextVar(
    "tokentide_context", default=None
)


class Scope:
    """What holds inside one block, the outer block's fields among it; it is never changed."""

    __slots__ = ("_hashed", "fields", "outer", "owner", "user")

    def __init__(self, fields: Fields, user: object, owner: object, outer: Scope | None) -> None:
        self.fields = fields
        self.user = user
        self.owner = owner
        self.outer = outer
        self._hashed: tuple[Settings, Fields] | None = None

    def fields_for(self, settings: Settings) -> Fields:
        """Return the fields, with the user's hash under this producer's key."""
        if self.user is None:
            return self.fields
        hashed = self._hashed
        if hashed is None or hashed[0] is not settings:
            from tokentide.privacy import hash_user

            user_hash = hash_user(settings, self.user)
            known = {} if user_hash is None else {"user_hash": user_hash}
            hashed = self._hashed = (settings, {**self.fields, **known})
        return hashed[1]

    def fill(self, event: Fields, settings: Settings) -> None:
        """Give an event what the block names and the event does not; never raises."""
        try:
            for name, value in self.fields_for(settings).items():
                own = event.get(name)
                if own is None:
                    event[name] = value
                elif name == "tags" and isinstance(own, dict) and isinstance(value, dict):
                    event["tags"] = {**value, **own}
        except Exception:
            # The host's own objects may misbehave as keys or values; the event goes without them.
            return


class context:
    """Names what the calls inside a block are made for; a `with` block or a decorator.

    One object may be entered again, by other threads and tasks too. Blocks nest: the inner one's
    names win, its tags join the outer ones. It applies to recorded and instrumented calls, to
    `emit` of requests, and to evaluations and feedback; what an event says itself wins.

    Args:
        tenant: Whose traffic it is.
        team: Who pays for it.
        feature: What part of the product makes the call.
        session: Conversation the calls belong to: `conversation_id` of the event.
        user: End user; only a keyed hash of it ever leaves the process, as `user_hash`.
        prompt: Name of the prompt, or name and version: `("answer", "v12")`.
        run_id: One execution of an agent or job. A run inside another one's block names it as its
            `parent_run_id`, an agent inside another one's block as its `parent_agent_name`.
        tags: Labels of your own.
        fields: Further fields of the event contract: `agent_name`, `agent_version`, `tool_name`,
            `mcp_server`, `skill`, `key_id` (the id of an API key, never the key), ...
    """

    __slots__ = ("_fields", "_user")

    def __init__(
        self,
        *,
        tenant: str | None = None,
        team: str | None = None,
        feature: str | None = None,
        session: str | None = None,
        user: object = None,
        prompt: str | tuple[str, str] | None = None,
        run_id: str | None = None,
        tags: dict[str, str] | None = None,
        **fields: Unpack[ContextFields],
    ) -> None:
        name, version = _name_and_version(prompt)
        given: Fields = {
            "tenant": tenant,
            "team": team,
            "feature": feature,
            "conversation_id": session,
            "prompt_name": name,
            "prompt_version": version,
            "run_id": run_id,
            "tags": dict(tags) if isinstance(tags, dict) else None,
        }
        self._fields: Fields = {name: value for name, value in given.items() if value is not None}
        if fields:
            self._fields = {
                **{name: value for name, value in fields.items() if value is not None},
                **self._fields,
            }
        self._user = user

    def __enter__(self) -> Self:
        outer = _scope.get()
        if outer is None:
            scope = Scope(self._fields, self._user, self, None)
        else:
            user = outer.user if self._user is None else self._user
            scope = Scope(_joined(outer.fields, self._fields), user, self, outer)
        _scope.set(scope)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        scope = _scope.get()
        # A generator that is closed from elsewhere leaves its blocks in a context that is not
        # theirs; there is nothing to restore there then.
        if scope is not None and scope.owner is self:
            _scope.set(scope.outer)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Function) -> Function:
        """Return the function, run inside this context: plain, async, or either's generator."""
        return wrapped(
            function,
            plain=self._around_plain,
            coroutine=self._around_coroutine,
            generator=self._around_generator,
            async_generator=self._around_async_generator,
        )

    @staticmethod
    def carry(function: Function) -> Function:
        """Return the function bound to the context of now, for a thread that runs it later.

        It carries all context variables, OpenTelemetry's too. The result may run in many threads
        at once: `pool.map(tokentide.context.carry(answer), questions)`. Tasks of asyncio and
        `asyncio.to_thread` need none of this.
        """
        here = contextvars.copy_context()

        def carried(*args: Any, **kwargs: Any) -> Any:
            # A context can be entered only once at a time; copying one costs next to nothing.
            return here.copy().run(function, *args, **kwargs)

        return cast("Function", functools.wraps(function)(carried))

    def _around_plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        return inside

    # A generator runs in its consumer's context, so the block is left before each item goes out.

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def inside(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            items = function(*args, **kwargs)
            advance: Callable[[], Any] = functools.partial(next, items)
            while True:
                try:
                    with self:
                        item = advance()
                except StopIteration as end:
                    return end.value
                try:
                    advance = functools.partial(items.send, (yield item))
                except GeneratorExit:
                    with self:
                        items.close()
                    raise
                except BaseException as exc:
                    advance = functools.partial(items.throw, exc)

        return inside

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def inside(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            items = function(*args, **kwargs)
            advance: Callable[[], Any] = functools.partial(anext, items)
            while True:
                try:
                    with self:
                        item = await advance()
                except StopAsyncIteration:
                    return
                try:
                    advance = functools.partial(items.asend, (yield item))
                except GeneratorExit:
                    with self:
                        await items.aclose()
                    raise
                except BaseException as exc:
                    advance = functools.partial(items.athrow, exc)

        return inside


current_scope = _scope.get
"""Returns what holds here, None outside of all blocks; an event is filled from it, now or later."""


def _joined(outer: Fields, inner: Fields) -> Fields:
    joined = {**outer, **inner}
    if "tags" in outer and "tags" in inner:
        joined["tags"] = {
            **cast("dict[str, str]", outer["tags"]),
            **cast("dict[str, str]", inner["tags"]),
        }
    for name, version in _VERSIONS:
        if name in inner and version not in inner:
            joined.pop(version, None)  # it belongs to the outer prompt or agent
    for name, parent in _PARENTS:
        if name in inner and name in outer and parent not in inner and inner[name] != outer[name]:
            joined[parent] = outer[name]
    return joined


def _name_and_version(prompt: object) -> tuple[object, object]:
    if isinstance(prompt, (tuple, list)) and len(prompt) == 2:
        return prompt[0], prompt[1]
    return prompt, None
