"""`python -m tokentide_dashboards` writes the generated files again."""

from __future__ import annotations

from tokentide_dashboards.generated import HERE, files

__all__: list[str] = []


def main() -> None:
    """Write every file, and report how many changed."""
    changed = 0
    for name, text in files().items():
        path = HERE / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed += 1
    print(f"{len(files())} files, {changed} changed")


if __name__ == "__main__":
    main()
