"""The reader of words of the dosing language; its errors name the word."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import takewhile

from locokine.errors import InputError
from locokine.units import parse_quantity

_WORD = re.compile(r">=|≥|,|>|[^\s,>≥]+")
NUMERIC = re.compile(r"[+-]?\.?\d|[+-]?\.?(?:nan|inf|infinity)\b", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$|[+-]?\.?(?:nan|inf|infinity)$", re.IGNORECASE
)
_THREE_DIGITS = re.compile(r"\d{3}$")
KEYWORDS: set[str] = {"per", "x"}
"""Words with a meaning of their own, which are no units; the tables of `scenario.grammar` add theirs."""


@dataclass
class Cursor:
    """Reads a line word by word; its errors name the word."""

    text: str
    place: str
    words: list[str] = field(default_factory=list)
    position: int = 0

    def __post_init__(self) -> None:
        self.words = _WORD.findall(self.text)

    def peek(self, ahead: int = 0) -> str:
        """Return the next word (lower case is the caller's business), or "" at the end."""
        index = self.position + ahead
        return self.words[index] if index < len(self.words) else ""

    def take(self) -> str:
        """Return the next word and step over it."""
        word = self.peek()
        self.position += 1
        return word

    def accept(self, *words: str) -> bool:
        """Step over the given words if they come next."""
        if [self.peek(index).lower() for index in range(len(words))] == list(words):
            self.position += len(words)
            return True
        return False

    def error(self, problem: str, remedy: str, at: int | None = None) -> InputError:
        """Return an error that points at word `at` (default: the next one)."""
        index = self.position if at is None else at
        if index < len(self.words):
            where = f"{self.place}, word {index + 1} '{self.words[index]}'"
        else:
            where = f"{self.place}, at the end of '{_shorten(self.text)}'"
        return InputError(where, problem, remedy)

    def quantity(self, dimension: str, example: str, *, positive: bool = False) -> float:
        """Read a number and its unit (`0.1 mL` or `0.1mL`) of a dimension, in internal units."""
        at = self.position
        text = self.quantity_text(f"a {dimension} such as {example}")
        place = f"{self.place}, word {at + 1}"
        return parse_quantity(text, dimension, place, positive=positive)

    def quantity_text(self, wanted: str) -> str:
        """Step over a number and its unit and return them as text."""
        if not NUMERIC.match(self.peek()):
            raise self.error(f"{wanted} is expected here", "write a number with its unit")
        first = self.take()
        following = self.peek()
        if first.isdigit() and _THREE_DIGITS.match(following):
            parts = [first, *takewhile(_THREE_DIGITS.match, self.words[self.position :])]
            remedy = f"write {''.join(parts)}, not {' '.join(parts)}"
            raise self.error("the number has a thousands separator", remedy, self.position - 1)
        if _PLAIN_NUMBER.match(first) and following and following != "," and not _ends_quantity(following):
            return f"{first} {self.take()}"
        if _PLAIN_NUMBER.match(first) and following == "," and re.match(r"\d{3}\b", self.peek(1)):
            raise self.error("the number has a thousands separator", "write 20000, not 20,000", self.position - 1)
        return first


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 50 else "…" + line[-49:]


def _ends_quantity(word: str) -> bool:
    """Whether a word cannot be the unit of the number before it (`days` can)."""
    return is_keyword(word) and word.lower() not in ("day", "days")


def is_keyword(word: str) -> bool:
    """Whether a word belongs to the language."""
    return word.lower() in KEYWORDS
