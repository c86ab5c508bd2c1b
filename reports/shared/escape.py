"""Text from outside (prompts, errors, names of methods) made harmless for the place where it is shown.

Rich needs no escape of its own: tables hand it `Text`, which is never read as markup.
"""

from __future__ import annotations

import re
import unicodedata

from prefbench.api import TEXT_LIMIT, plain

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "—": "---",
    "–": "--",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "§": r"\S{}",
    "¶": r"\P{}",
    "…": r"\ldots{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    **{
        mark: f"$\\{name}$"
        for mark, name in {
            "↑": "uparrow", "↓": "downarrow", "×": "times", "±": "pm", "≤": "leq", "≥": "geq", "≈": "approx",
            "°": "circ", "·": "cdot", "⊕": "oplus", "⧉": "bowtie",
        }.items()
    },
    "−": "$-$",
    **{mark: f"$\\{name}$" for mark, name in {
        "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "η": "eta", "θ": "theta",
        "κ": "kappa", "λ": "lambda", "μ": "mu", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi",
        "χ": "chi", "ω": "omega", "Δ": "Delta", "Σ": "Sigma", "Ω": "Omega",
    }.items()},
}  # fmt: skip
"""Characters with a meaning, and those beyond ASCII that every engine and encoding of LaTeX has."""
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c", "\u0328": "k",
}  # fmt: skip
_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=[?!'`,])(?=[`',])")
"""Between two characters that TeX would set as one."""
_FORMULA = tuple("=+-@\N{MINUS SIGN}")
_SLUG = 60
"""Characters of a name of a file; most file systems allow 255 bytes."""
_ITEM = re.compile(r"^(?:[-+](?![\d.])|\d+[.)](?=\s|$))")
"""What begins a list or a rule, in front of its last character; a number is left as it is."""
_BLOCK = re.compile(r"^(?:=|:|%|\?\?\?|///)")
"""What begins a heading's rule, a definition, a directive or a block of Markdown's extensions."""


def markdown(text: object, limit: int = TEXT_LIMIT) -> str:
    """For Markdown, at any place of a line or table: no markup, no HTML, no mention, no link that makes itself.

    Example:
        >>> markdown("a|b <script>")
        'a\\\\|b &lt;script&gt;'
    """
    marked = re.sub(r"([\\`*_\[\]|~$#!{}])", r"\\\1", plain(text, limit))
    escaped = "".join(_ENTITIES.get(c, c) for c in marked)
    unlinked = re.sub("(www)[.]", r"\1&#46;", escaped.replace("://", "&#58;//"), flags=re.IGNORECASE)
    return _ITEM.sub(
        lambda m: f"{m[0][:-1]}\\{m[0][-1]}", _BLOCK.sub(lambda m: f"&#{ord(m[0][0])};{m[0][1:]}", unlinked)
    )


def latex(text: object, limit: int = TEXT_LIMIT) -> str:
    """For LaTeX text: every character with a meaning is written out, and no two are set as one.

    What not every engine and font has stands as its code point, so that nothing stops a document.

    Example:
        >>> latex("50% of café 中")
        "50\\\\% of caf\\\\'{e} [U+4E2D]"
    """
    apart = _LIGATURE.sub("\0", plain(text, limit))
    return "".join("{}" if c == "\0" else _LATEX.get(c) or (c if c.isascii() else _accented(c)) for c in apart)


def _accented(character: str) -> str:
    """A letter with its accent, `\\'{e}`; else the code point."""
    decomposed = unicodedata.normalize("NFD", character)
    letter, accents = decomposed[:1], decomposed[1:]
    if letter.isascii() and letter.isalpha() and accents in _ACCENTS:
        return f"\\{_ACCENTS[accents]}{{{letter}}}"
    return f"[U+{ord(character):04X}]"


def csv_cell(value: object) -> object:
    """For CSV: a text that a spreadsheet would run as a formula starts with an apostrophe; numbers stay numbers.

    What counts is what a spreadsheet sees: without white space, full-width signs as the plain ones.
    """
    if not isinstance(value, str):
        return value
    text = plain(value)
    is_formula = unicodedata.normalize("NFKC", text).lstrip().startswith(_FORMULA)
    return f"'{text}" if is_formula else text


def code_block(text: object) -> str:
    """A fenced Markdown block of one line that the text cannot leave."""
    line = plain(text, limit=2000)
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{line}\n{fence}"


def slug(text: str) -> str:
    """A name of a file: at most 60 small letters, digits, dots and dashes; never empty, never a path."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:_SLUG].rstrip("-.") or "run"
