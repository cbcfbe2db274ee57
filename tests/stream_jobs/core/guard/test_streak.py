"""Steps in a row that repeat one step, or a cycle of steps."""

from __future__ import annotations

from tests.each import each
from tokentide_jobs.core.guard.steps import fingerprint
from tokentide_jobs.core.guard.streak import Streak


def after(steps: str, **how: bool) -> tuple[int, int, int]:
    """Return the longest streak after steps of one letter each; `?` is unknown, `!` failed."""
    streak = Streak()
    for letter in steps:
        known = 0 if letter in "?!" else ord(letter)
        streak.add(known, 10, **({"is_late": False, "is_error": letter == "!"} | how))
    return streak.longest()


@each(
    ("steps", "longest"),
    [
        ("abcdefgh", (0, 0, 1)),
        ("aaaa", (3, 30, 1)),
        ("abababab", (6, 60, 2)),
        ("abcabcabc", (6, 60, 3)),
        ("abcdabcda", (5, 50, 4)),
        ("abcdeabcde", (0, 0, 1)),
        ("aaaab", (0, 0, 1)),
        ("aaaabb", (1, 10, 1)),
        ("aa?aa", (1, 10, 1)),
        ("aa!!aa", (3, 30, 1)),
        ("", (0, 0, 1)),
    ],
)
def test_the_longest_streak_of_steps(steps: str, longest: tuple[int, int, int]) -> None:
    assert after(steps) == longest


def test_a_late_step_ends_a_streak_if_it_differs_and_never_makes_one_longer() -> None:
    streak = Streak()
    for _ in range(5):
        streak.add(7, 10, is_late=False, is_error=False)
    streak.add(7, 10, is_late=True, is_error=False)
    assert streak.longest() == (4, 40, 1)
    streak.add(8, 10, is_late=True, is_error=False)
    assert streak.longest() == (0, 0, 1)


def test_a_step_is_the_same_by_agent_prompt_tool_and_size_of_its_input() -> None:
    same = fingerprint("coder", "plan v3", "search", 1_200)
    assert same == fingerprint("coder", "plan v3", "search", 1_200) == 9_211_637_902_052_695_471
    others = {
        fingerprint("", "plan v3", "search", 1_200),
        fingerprint("coder", "plan v4", "search", 1_200),
        fingerprint("coder", "plan v3", "fetch", 1_200),
        fingerprint("coder", "plan v3", "search", 1_201),
        fingerprint("coderplan v3", "", "search", 1_200),
    }
    assert len(others) == 5
    assert same not in others
    assert fingerprint("coder", "plan v3", "search", None) == 0
    assert fingerprint("\ud800", "", "", 0) > 0
