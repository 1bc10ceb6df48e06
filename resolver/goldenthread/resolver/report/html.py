"""Put HTML together, with every text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from msgspec import Struct

from goldenthread.resolver.report.charts import number

__all__ = ["Cell", "Id", "Share", "figure", "key", "note", "section", "table", "tiles"]


class Id(Struct, frozen=True):
    """A name of a record, a column or a rule, set in fixed width."""

    text: str


class Share(Struct, frozen=True):
    """A number from 0 to 1."""

    value: float


Cell = str | float | int | Id | Share


def section(anchor: str, title: str, *parts: str) -> tuple[str, str, str]:
    """Make a section: its anchor, its title and its content."""
    return anchor, title, "\n".join(part for part in parts if part)


def note(text: str, style: str = "") -> str:
    """Write a paragraph."""
    said = f' class="{style}"' if style else ""
    return f"<p{said}>{escape(text)}</p>"


def figure(svg: str, caption: str, *, tall: bool = False) -> str:
    """Frame a chart with what it shows; a tall one may be broken by the end of a page."""
    style = ' class="tall"' if tall else ""
    return f"<figure{style}>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def key(entries: Sequence[tuple[str, str]]) -> str:
    """Explain colours: class and name of each."""
    return (
        "<p>" + "".join(f'<span class="key"><i class="{style}"></i>{escape(name)}</span>' for style, name in entries) + "</p>"
    )


def tiles(entries: Sequence[tuple[str, str, str]]) -> str:
    """Show a few figures large: name, value and a remark."""
    cells = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}{f'<small>{escape(remark)}</small>' if remark else ''}</dd></div>"
        for name, value, remark in entries
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, sorts: bool = True) -> str:
    """Lay rows out as a table; a column of numbers stands to the right, and a reader can sort by any."""
    numeric = [bool(rows) and all(isinstance(row[i], int | float | Share) for row in rows) for i in range(len(heads))]
    head = "".join(f'<th scope="col"{" class=n" if n else ""}>{escape(h)}</th>' for h, n in zip(heads, numeric, strict=True))
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    style = ' class="sorts"' if sorts and len(rows) > 1 else ""
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table{style}>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, Id):
        return f'<td class="id">{escape(cell.text)}</td>'
    if isinstance(cell, Share):
        return f'<td class="n" data-v="{cell.value:.6g}">{_share(cell.value)}</td>'
    if isinstance(cell, int | float):
        return f'<td class="n" data-v="{cell:.6g}">{number(cell)}</td>'
    return f"<td>{escape(cell)}</td>"


def _share(value: float) -> str:
    """Write a share in per cent, without rounding to all or nothing what is neither."""
    if 0 < value < 0.001:
        return "<0.1 %"
    if 0.9995 <= value < 1:
        return f"{min(value, 0.9999):.2%}".replace("%", " %")
    return f"{value:.1%}".replace("%", " %")
